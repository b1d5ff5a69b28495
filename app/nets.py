"""Load a segmenter, trained or exported, and compute the logits of an image.

Shapes: H, W image size in px, K classes with the background, h, w logit size.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from app import template
from pipeline.core.arrays import Float, UInt8
from pipeline.inference import tiles

if TYPE_CHECKING:  # an exported model needs neither torch nor pydantic
    from pipeline.core.config import Infer
    from pipeline.crf.config import Crf

ONNX_FILE = "model.onnx"  # in the folder of an exported model


class Net(Protocol):
    """A segmenter without what follows: `OnnxSegmenter` or `TorchSegmenter`."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the K logits. The first is the background."""

    @property
    def grid_px(self) -> int:
        """What each side of the network's input is a multiple of."""

    def logits(self, image_HW3: UInt8) -> Float:
        """Compute the logits (K, h, w) float32 of an upright RGB image, at network stride."""


def is_onnx(model: Path) -> bool:
    """Whether a path is an exported model, which runs without torch."""
    return model.suffix == ".onnx" or os.path.isfile(model / ONNX_FILE)


def load_net(model: Path, options: "Infer | None" = None) -> Net:
    """Load an exported model, or the folder of a trained one.

    Args:
        model: a file `*.onnx` or its folder, or a folder with `net.json`.
        options: size, scales and flip of a trained one. By default, those of its project, or of
            the preset for photographs. An exported model has its own.

    Raises:
        UserError: there is no model, or it is damaged or of another kind.
    """
    if is_onnx(model):
        from pipeline.inference.onnx_net import OnnxSegmenter

        return OnnxSegmenter.load(model)
    from app.torch_net import TorchSegmenter

    return TorchSegmenter.load(model, options or _options_of(model))


def _options_of(model: Path) -> "Infer":
    """Return `segment.predict` of the project whose chain wrote the model, or of the preset."""
    from pipeline.core.layout import Layout
    from pipeline.core.params import section
    from pipeline.params import load_params
    from pipeline.segment.config import Predict

    folder = model.resolve()
    if len(folder.parents) > 3:
        layout = Layout(folder.parents[3])
        if layout.params.is_file() and layout.segmenter(folder.name) == folder:
            return load_params(layout.params).segment.predict
    return section(preset(), "segment.predict", Predict)


def preset() -> dict[str, Any]:
    """Return the params of the preset for photographs."""
    from pipeline.core.params import lay_over, read_yaml

    presets = template.source() / "presets"
    values = read_yaml(presets / "shapes.yaml")
    lay_over(values, read_yaml(presets / "photos.yaml"))
    return values


def default_crf() -> "Crf":
    """Return the CRF that the preset for photographs refines masks by."""
    from pipeline.core.params import section
    from pipeline.crf.config import CrfSets
    from pipeline.crf.dense import chosen

    values = preset()
    return chosen(section(values, "crf", CrfSets), values["refine"]["crf"])


def logits_of(net: Net, image_HW3: UInt8, *, tile_px: int = 0) -> Float:
    """Compute logits (K, h, w): of the image scaled to the network's size, or of its tiles.

    Args:
        net: the network.
        image_HW3: upright RGB image.
        tile_px: if above 0, the image keeps its size, and the network sees tiles of this side.
    """
    if not tile_px:
        return net.logits(image_HW3)
    native = cast(Net, replace(cast(Any, net), size_px="native"))
    return tiles.blended(native.logits, image_HW3, tile_px=tile_px, stride=net.grid_px)
