"""Make saliency maps from the source that the command line names.

For the source `net`, the stage is saliency_net.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from pipeline.core import formats
from pipeline.core.arrays import VOID, Float
from pipeline.core.config import NoOptions
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.maps import normalise
from pipeline.core.params import fingerprint
from pipeline.core.samples import Sample, read_samples, read_truth
from pipeline.saliency.config import (
    SALIENCY_OPTIONS,
    SaliencyClassical,
    SaliencyFolder,
    SaliencyOnnx,
)
from pipeline.saliency.folder import read_map, require_maps
from pipeline.saliency.geodesic import geodesic
from pipeline.saliency.onnx import onnx_model
from stages import _resume, _run

MapOf = Callable[[Sample], Float]


def _onnx(layout: Layout, options: SaliencyOnnx) -> MapOf:
    model = onnx_model(options)
    return lambda sample: model(formats.read_image(sample.image))


def _classical(layout: Layout, options: SaliencyClassical) -> MapOf:
    return lambda sample: geodesic(formats.read_image(sample.image), options)


def _folder(layout: Layout, options: SaliencyFolder) -> MapOf:
    return lambda sample: read_map(
        options.root / f"{sample.id}.png", height_px=sample.height_px, width_px=sample.width_px
    )


def _oracle(layout: Layout, options: NoOptions) -> MapOf:
    truth = read_truth(layout.truth)

    def foreground(sample: Sample) -> Float:
        label = formats.read_label(truth[sample.id])
        return ((label > 0) & (label != VOID)).astype(np.float32)

    return foreground


def _none(layout: Layout, options: NoOptions) -> MapOf:
    return lambda sample: np.zeros((sample.height_px, sample.width_px), np.float32)


SOURCES: dict[str, Callable[[Layout, Any], MapOf]] = {
    "onnx": _onnx,
    "folder": _folder,
    "classical": _classical,
    "oracle": _oracle,
    "none": _none,
}
SLICES: dict[str, _run.Slices] = {
    name: {"options": (f"saliency.options.{name}", SALIENCY_OPTIONS[name])} for name in SOURCES
}


class Maker:
    """Writes the saliency maps of images to `work`."""

    def __init__(self, layout: Layout, source: str, options: BaseModel, work: Layout) -> None:
        self.map_of, self.folder = SOURCES[source](layout, options), work.saliency(source)

    def __call__(self, chunk: Sequence[Sample]) -> None:
        """Write the map of each image, divided by its own maximum."""
        for sample in chunk:
            formats.write_grey(self.folder / f"{sample.id}.png", normalise(self.map_of(sample)))


def _check(layout: Layout, source: str, options: BaseModel, samples: Sequence[Sample]) -> None:
    """Check that the source has a map of every image.

    Raises:
        UserError: it lacks one.
    """
    if isinstance(options, SaliencyFolder):
        require_maps(options.root, [sample.id for sample in samples])
    truth = read_truth(layout.truth) if source == "oracle" else None
    if truth is not None and (without := [s.id for s in samples if s.id not in truth]):
        raise UserError(
            f"image {without[0]} has no mask, and the oracle needs a mask of every image; choose "
            "another saliency.source, or remove oracle from segment.supervision"
        )


def _reads(layout: Layout, source: str, options: BaseModel) -> list[Path]:
    """List the files and folders that the source reads in addition to the images."""
    if isinstance(options, SaliencyOnnx):
        return [options.file]
    if isinstance(options, SaliencyFolder):
        return [options.root]
    return [layout.labels("full")] if source == "oracle" else []


def run(layout: Layout, source: str, *, options: BaseModel) -> None:
    """Write the saliency map of each image, divided by its own maximum."""
    samples, inputs = read_samples(layout.samples), [layout.samples]
    inputs += [path for path in _reads(layout, source, options) if path.exists()]
    key, out = fingerprint(options), layout.saliency(source)
    network = source == "onnx"
    _check(layout, source, options, samples)
    with _resume.outputs(layout, [out], inputs=inputs, params_key=key, network=network) as work:
        make = partial(Maker, layout, source, options)
        _resume.process_unfinished(layout, work, make, samples, outs=[out], network=network)
