"""Make saliency maps from the source that the command line names.

For the source `net`, the stage is saliency_net.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from pipeline.core import formats, ranks, runtime
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

Maps = Iterator[tuple[Sample, Float]]


def _onnx(layout: Layout, samples: list[Sample], options: SaliencyOnnx) -> Maps:
    model = onnx_model(options)
    for sample in runtime.track(samples, total=len(samples), title="saliency"):
        yield sample, model(formats.read_image(sample.image))


def _classical_map(job: tuple[Sample, SaliencyClassical]) -> Float:
    return geodesic(formats.read_image(job[0].image), job[1])


def _classical(layout: Layout, samples: list[Sample], options: SaliencyClassical) -> Maps:
    maps = runtime.pool_map(_classical_map, [(s, options) for s in samples], title="saliency")
    yield from zip(samples, maps, strict=True)


def _folder(layout: Layout, samples: list[Sample], options: SaliencyFolder) -> Maps:
    require_maps(options.root, [sample.id for sample in samples])
    for sample in runtime.track(samples, total=len(samples), title="saliency"):
        path = options.root / f"{sample.id}.png"
        yield sample, read_map(path, height_px=sample.height_px, width_px=sample.width_px)


def _oracle(layout: Layout, samples: list[Sample], options: NoOptions) -> Maps:
    truth = read_truth(layout.truth)
    if without := [s.id for s in samples if s.id not in truth]:
        raise UserError(
            f"image {without[0]} has no mask, and the oracle needs a mask of every image; choose "
            "another saliency.source, or remove oracle from segment.supervision"
        )
    for sample in runtime.track(samples, total=len(samples), title="saliency"):
        label = formats.read_label(truth[sample.id])
        yield sample, ((label > 0) & (label != VOID)).astype(np.float32)


def _none(layout: Layout, samples: list[Sample], options: NoOptions) -> Maps:
    for sample in samples:
        yield sample, np.zeros((sample.height_px, sample.width_px), np.float32)


MAKERS: dict[str, Callable[[Layout, list[Sample], Any], Maps]] = {
    "onnx": _onnx,
    "folder": _folder,
    "classical": _classical,
    "oracle": _oracle,
    "none": _none,
}
SLICES: dict[str, _run.Slices] = {
    name: {
        "options": (f"saliency.options.{name}", SALIENCY_OPTIONS[name]),
        "shard": _run.SHARD,
    }
    for name in MAKERS
}
SHARED = True


def _reads(layout: Layout, source: str, options: BaseModel) -> list[Path]:
    """List the files and folders that the source reads in addition to the images."""
    if isinstance(options, SaliencyOnnx):
        return [options.file]
    if isinstance(options, SaliencyFolder):
        return [options.root]
    return [layout.labels("full")] if source == "oracle" else []


def run(layout: Layout, source: str, *, options: BaseModel, shard: int) -> None:
    """Write the saliency map of each image, divided by its own maximum."""
    samples, inputs = read_samples(layout.samples), [layout.samples]
    inputs += [path for path in _reads(layout, source, options) if path.exists()]
    key, out = fingerprint(options), layout.saliency(source)
    with _resume.outputs(layout, [out], inputs=inputs, params_key=key, shard=shard) as work:
        done = _resume.finished_ids(work.saliency(source))
        left = [s for s in ranks.mine(samples) if s.id not in done]
        for sample, salient in MAKERS[source](layout, left, options):
            formats.write_grey(work.saliency(source) / f"{sample.id}.png", normalise(salient))
