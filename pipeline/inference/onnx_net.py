"""Run a segmenter that `export model --format onnx` wrote. Needs onnxruntime, but no torch.

Shapes: H, W image size in px, K classes with the background, h, w logit size.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from pipeline.core.arrays import Float, UInt8
from pipeline.core.errors import COMMAND, MissingFileError, UserError
from pipeline.core.maps import resize
from pipeline.inference.sizes import base_size, views

if TYPE_CHECKING:
    import onnxruntime

FILE = "model.onnx"  # in the folder that the export wrote
IMAGE, LONG_PX, LABEL, LOGITS = "image", "long_px", "label", "logits"  # inputs and outputs
AGAIN = f"export the model again with `{COMMAND} export model --format onnx`"


@dataclass(frozen=True)
class OnnxSegmenter:
    """A segmenter in an ONNX file, with the inference that its metadata describes.

    `classes` has a name for each of the K logits. The first one is the background.
    `size_px`, `scales` and `flip` are those of `segment.predict` when the model was exported.
    Each side of the network's input is a multiple of `grid_px`.
    """

    classes: tuple[str, ...]
    size_px: int | Literal["native"]
    scales: tuple[float, ...]
    flip: bool
    grid_px: int
    session: "onnxruntime.InferenceSession"

    @classmethod
    def load(cls, path: Path) -> Self:
        """Load a file, or FILE in a folder.

        Raises:
            UserError: the file is missing, onnxruntime cannot read it, or `export model` did not
                write it.
        """
        file = path / FILE if path.is_dir() else path
        session = _open(file)
        texts = session.get_modelmeta().custom_metadata_map
        try:
            values = {name: json.loads(texts[name]) for name in _VALUES}
        except (KeyError, ValueError) as e:
            raise UserError(f"{file}: `export model` did not write this file; {AGAIN}") from e
        values |= {name: tuple(values[name]) for name in ("classes", "scales")}
        return cls(**values, session=session)

    def logits(self, image_HW3: UInt8) -> Float:
        """Compute the logits (K, h, w) float32 of an upright RGB image, at network stride.

        They are the mean over all scales, each with the mirrored image if `flip`, resized to the
        largest: what `infer.run` and `infer.merge` compute with the PyTorch network.
        """
        size = base_size(*image_HW3.shape[:2], size_px=self.size_px, stride=self.grid_px)
        outputs = [
            self._view(view) for view in views(image_HW3, size, self.scales, stride=self.grid_px)
        ]
        return _merge(outputs)

    def _view(self, view_HW3: UInt8) -> Float:
        """Compute the logits of one view."""
        plain = self._run(view_HW3)
        if not self.flip:
            return plain
        return (plain + self._run(view_HW3[:, ::-1])[:, :, ::-1]) / 2

    def _run(self, view_HW3: UInt8) -> Float:
        """Run the network on a view, whose size it keeps if LONG_PX is that of the view."""
        long_px = np.array(max(view_HW3.shape[:2]), np.int64)
        feeds = {IMAGE: np.ascontiguousarray(view_HW3)[None], LONG_PX: long_px}
        return self.session.run([LOGITS], feeds, _only_what_is_asked())[0][0]


_VALUES = ("classes", "size_px", "scales", "flip", "grid_px")  # of the metadata, as JSON


def _merge(outputs: Sequence[Float]) -> Float:
    """Average the logits of all scales, resized to the largest."""
    height, width = max((o.shape[1:] for o in outputs), key=lambda s: s[0] * s[1])
    resized = [
        o if o.shape[1:] == (height, width) else resize(o, height_px=height, width_px=width)
        for o in outputs
    ]
    return np.mean(resized, axis=0, dtype=np.float32)


def _open(file: Path) -> "onnxruntime.InferenceSession":
    import onnxruntime

    if not file.is_file():
        raise MissingFileError(file, AGAIN)
    wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
    providers = [p for p in wanted if p in onnxruntime.get_available_providers()]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # else it warns that LONG_PX has a default
    try:
        return onnxruntime.InferenceSession(file, options, providers=providers)
    except Exception as e:  # onnxruntime has no public base class for its errors
        raise UserError(f"{file}: onnxruntime cannot read the model; {AGAIN} ({e})") from e


def _only_what_is_asked() -> Any:
    """Return options with which a run skips the label, which needs more memory than the logits."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.only_execute_path_to_fetches = True
    return options
