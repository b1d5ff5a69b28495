"""A trained segmenter as files for other programs: ONNX, TorchScript or safetensors.

Shapes: H, W image size in px, K classes with the background, h, w logit size.
"""

import contextlib
import importlib.util
import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from app.exports.portable import NATIVE, Portable
from pipeline.core import formats
from pipeline.core.arrays import Float, UInt8
from pipeline.core.config import Infer
from pipeline.core.errors import UserError
from pipeline.crf import dense
from pipeline.inference import onnx_net
from pipeline.inference.onnx_net import IMAGE, LABEL, LOGITS, LONG_PX, OnnxSegmenter
from pipeline.inference.sizes import base_size, views
from pipeline.nets import checkpoint, rewrite
from pipeline.segment.deeplab import DeepLab

DESCRIPTION = "model.json"  # what the metadata of the ONNX file holds, beside every format
TORCHSCRIPT = "model.pt"
OPSET = 17
MAX_CHANGED = 0.01  # share of label pixels: a file that differs more is not what was trained
PREPROCESSING = (
    "upright RGB, grey levels 0..255; the network's input has its long side at size_px (native: "
    "that of the image) and each side rounded to a multiple of grid_px; by area means if that "
    "shrinks the image, else bilinearly; then (x - mean) / std"
)
Run = Callable[[UInt8], tuple[UInt8, Float]]  # from an image (H, W, 3) to its label and logits


@dataclass(frozen=True)
class Trained:
    """A trained segmenter, and the inference that the chain uses it with."""

    folder: Path
    net: DeepLab
    spec: checkpoint.Spec
    predict: Infer

    @cached_property
    def portable(self) -> Portable:
        """The module to trace."""
        size_px = self.predict.size_px
        return Portable(self.net, long_px=NATIVE if size_px == "native" else size_px).eval()

    def describe(self) -> dict[str, Any]:
        """Return what a program must know to use the model."""
        trunk, portable = self.net.trunk, self.portable
        return {
            "classes": ["background", *self.spec["classes"]],
            "stride": self.net.head.stride,
            "grid_px": portable.grid_px,
            "size_px": self.predict.size_px,
            "scales": [*self.predict.scales],
            "flip": self.predict.flip,
            "preprocessing": PREPROCESSING,
            "mean": _numbers(trunk.mean),
            "std": _numbers(trunk.std),
            "network": {k: self.spec[k] for k in ("backbone", "output_stride", "head")},
            "version": formats.digest(self.folder / "net.json", self.folder / checkpoint.WEIGHTS),
        }


@dataclass(frozen=True)
class Difference:
    """How far the output of a file is from PyTorch's, on one image of random colours.

    `logits` is the largest absolute difference if the image already has the network's size, and
    `highest` the largest absolute logit. `label` is the share of label pixels that differ if the
    file also resizes the image, which may round a grey level otherwise than OpenCV.
    """

    logits: float
    highest: float
    label: float

    def __str__(self) -> str:
        """Return a line for people."""
        return (
            f"logits differ by at most {self.logits:.1e} (the largest is {self.highest:.1f}), and "
            f"{100 * self.label:.3f} % of the label pixels differ"
        )


def read_trained(folder: Path, predict: Infer) -> Trained:
    """Read the folder of a trained segmenter.

    Raises:
        UserError: no segmenter was trained there, or it is damaged or of another kind.
    """
    net, spec = checkpoint.load(folder, DeepLab.from_spec)
    return Trained(folder, net.cpu().eval(), spec, predict)


def write_model(model: Trained, folder: Path, *, name: str) -> Difference | None:
    """Write the model in one of FORMATS, and its description.

    Returns:
        The difference from PyTorch; None for a copy of the weights.

    Raises:
        UserError: a package is missing, or the file computes something else than the network.
    """
    formats.write_json(folder / DESCRIPTION, model.describe())
    try:
        run = FORMATS[name](model, folder)
        difference = compare(model, run) if run else None
    except UserError:
        raise
    except Exception as e:  # torch and onnxruntime have no common base class for their errors
        raise _refused(model, name, str(e)) from e
    if difference and not difference.label <= MAX_CHANGED:
        raise _refused(model, name, str(difference))
    return difference


def _refused(model: Trained, name: str, why: str) -> UserError:
    return UserError(
        f"format '{name}' cannot hold backbone '{model.spec['backbone']}': "
        f"{' '.join(why.split())[:300]}; choose another format"
    )


def compare(model: Trained, run: Run) -> Difference:
    """Compare a file with the network on one image, at scale 1 and not mirrored."""
    size_px, grid_px = model.predict.size_px, model.portable.grid_px
    image = random_image(501 if size_px == "native" else size_px * 3 // 2 + 1)
    height, width = image.shape[:2]
    size = base_size(height, width, size_px=size_px, stride=grid_px)
    (view,) = views(image, size, (1.0,), stride=grid_px)
    with torch.inference_mode():
        x = torch.from_numpy(view.transpose(2, 0, 1)[None].copy())
        logits = rewrite.fold(model.net)(x)[0].numpy()
    label = dense.argmax(logits, height_px=height, width_px=width)
    return Difference(
        float(np.abs(run(view)[1] - logits).max()),
        float(np.abs(logits).max()),
        float((run(image)[0] != label).mean()),
    )


def random_image(long_px: int) -> UInt8:
    """Return an image of soft spots in random colours. Its height is odd if `long_px` is odd."""
    spots = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    size = (long_px, long_px * 3 // 8 * 2 + 1)
    return cv2.resize(spots, size, interpolation=cv2.INTER_CUBIC)


def _write_onnx(model: Trained, folder: Path) -> Run:
    if importlib.util.find_spec("onnx") is None:
        raise UserError("format 'onnx' needs the package onnx; run `pip install onnx`")
    file = folder / onnx_net.FILE
    sides = {1: "height", 2: "width"}
    with _quiet():
        torch.onnx.export(
            model.portable, (_example(), torch.tensor(0)), file, dynamo=False,
            opset_version=OPSET, input_names=[IMAGE, LONG_PX], output_names=[LABEL, LOGITS],
            dynamic_axes={IMAGE: sides, LABEL: sides, LOGITS: {2: "rows", 3: "columns"}},
        )  # fmt: skip
    _complete(file, model)
    session = OnnxSegmenter.load(file).session

    def run(image_HW3: UInt8) -> tuple[UInt8, Float]:
        label, logits = session.run([LABEL, LOGITS], {IMAGE: image_HW3[None]})
        return label[0], logits[0]

    return run


def _complete(file: Path, model: Trained) -> None:
    """Make LONG_PX an input with a default, and add the description as metadata."""
    import onnx

    proto = onnx.load(file)
    default = np.array(model.portable.long_px, np.int64)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(default, LONG_PX))
    metadata = {k: json.dumps(v, ensure_ascii=False) for k, v in model.describe().items()}
    onnx.helper.set_model_props(proto, metadata)
    onnx.checker.check_model(proto)
    formats.replace_file(file, lambda f: f.write(proto.SerializeToString(deterministic=True)))


def _write_torchscript(model: Trained, folder: Path) -> Run:
    """Write a file that plain torch loads. It holds the description as `model.json`."""
    with _quiet():
        traced = torch.jit.trace(  # type: ignore[no-untyped-call]
            model.portable, (_example(),), check_trace=False
        )
        text = json.dumps(model.describe(), ensure_ascii=False)
        torch.jit.save(traced, folder / TORCHSCRIPT, _extra_files={DESCRIPTION: text})

    def run(image_HW3: UInt8) -> tuple[UInt8, Float]:
        with torch.inference_mode():
            label, logits = traced(torch.from_numpy(image_HW3)[None])
        return label[0].numpy(), logits[0].numpy()

    return run


def _write_safetensors(model: Trained, folder: Path) -> None:
    """Copy the weights and their description: a folder that `predict --model` takes."""
    for name in ("net.json", checkpoint.WEIGHTS):
        shutil.copyfile(model.folder / name, folder / name)


def _example() -> torch.Tensor:
    """Return an image for the trace. Its size does not matter."""
    return torch.zeros((1, 37, 50, 3), dtype=torch.uint8)


def _numbers(values: Any) -> list[float]:
    return [round(float(v), 4) for v in values.flatten()]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide that torch calls its tracer old: the new exporter needs minutes for free image sizes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


FORMATS: dict[str, Callable[[Trained, Path], Run | None]] = {
    "onnx": _write_onnx,
    "torchscript": _write_torchscript,
    "safetensors": _write_safetensors,
}
