"""Saliency maps of every image, from one source (named on the command line)."""

import sys
from collections.abc import Container, Iterator
from pathlib import Path
from typing import cast

import numpy as np
from pydantic import BaseModel

from pipeline import blocks, choices, formats, infer, nets, params, ranks, runtime, saliency
from pipeline.arrays import VOID, Float
from pipeline.errors import UserError
from pipeline.formats import Sample
from pipeline.layout import Layout
from stages import _run

Maps = Iterator[tuple[Sample, Float]]


def _net(
    layout: Layout, samples: list[Sample], options: choices.SaliencyNet, done: Container[str] = ()
) -> Maps:
    net, _ = nets.load(layout.saliency_model)
    for sample, outputs in infer.run(net, samples, options.infer, what="saliency", done=done):
        foreground = infer.foreground(outputs).numpy()
        yield (
            sample,
            saliency.resize(foreground, height_px=sample.height_px, width_px=sample.width_px),
        )


def _onnx(layout: Layout, samples: list[Sample], options: choices.SaliencyOnnx) -> Maps:
    model = saliency.onnx_model(options)
    for sample in runtime.track(samples, total=len(samples), what="saliency"):
        yield sample, model(formats.read_image(sample.image))


def _classical_map(job: tuple[Sample, choices.SaliencyClassical]) -> Float:
    return saliency.geodesic(formats.read_image(job[0].image), job[1])


def _classical(layout: Layout, samples: list[Sample], options: choices.SaliencyClassical) -> Maps:
    maps = runtime.pool_map(_classical_map, [(s, options) for s in samples], what="saliency")
    yield from zip(samples, maps, strict=True)


def _folder(layout: Layout, samples: list[Sample], options: choices.SaliencyFolder) -> Maps:
    for sample in runtime.track(samples, total=len(samples), what="saliency"):
        found = formats.read_grey(options.root / f"{sample.id}.png")
        yield sample, saliency.resize(found, height_px=sample.height_px, width_px=sample.width_px)


def _oracle(layout: Layout, samples: list[Sample], options: blocks.NoOptions) -> Maps:
    truth = formats.read_truth(layout.truth)
    if without := [s.id for s in samples if s.id not in truth]:
        raise UserError(
            f"oracle saliency needs a mask of every image; {without[0]} has none: choose another "
            "saliency.source, or take oracle off segment.supervision"
        )
    for sample in runtime.track(samples, total=len(samples), what="saliency"):
        label = formats.read_label(truth[sample.id])
        yield sample, ((label > 0) & (label != VOID)).astype(np.float32)


def _none(layout: Layout, samples: list[Sample], options: blocks.NoOptions) -> Maps:
    for sample in samples:
        yield sample, np.zeros((sample.height_px, sample.width_px), np.float32)


MAKERS = {
    "onnx": _onnx,
    "folder": _folder,
    "classical": _classical,
    "oracle": _oracle,
    "none": _none,
}


def _reads(layout: Layout, options: BaseModel) -> list[Path]:
    """What the chosen source reads beside the images."""
    if isinstance(options, choices.SaliencyNet):
        return [layout.saliency_model]
    if isinstance(options, choices.SaliencyOnnx):
        return [options.file]
    if isinstance(options, choices.SaliencyFolder):
        return [options.root]
    return [layout.labels("full")] if sys.argv[1] == "oracle" else []


def run(layout: Layout, *, options: BaseModel, shard: int) -> None:
    """Write each image's map, divided by its own maximum."""
    source = sys.argv[1]
    samples, inputs = formats.read_samples(layout.samples), [layout.samples]
    inputs += [path for path in _reads(layout, options) if path.exists()]
    about, out = params.fingerprint(options), layout.saliency(source)
    with _run.partial(layout, [out], inputs=inputs, about=about, shard=shard) as work:
        done = _run.finished(work.saliency(source))
        if source == "net":  # whose batches stay as they are
            found = _net(layout, samples, cast(choices.SaliencyNet, options), done)
        else:
            left = [s for s in ranks.mine(samples) if s.id not in done]
            found = MAKERS[source](layout, left, options)  # type: ignore[operator]
        for sample, salient in found:
            path = work.saliency(source) / f"{sample.id}.png"
            formats.write_grey(path, saliency.normalise(salient))


if __name__ == "__main__":
    slices = {"options": (f"saliency.options.{sys.argv[1]}", choices.SALIENCY_OPTIONS[sys.argv[1]])}
    _run.main(run, shared=True, shard=_run.SHARD, **slices)
