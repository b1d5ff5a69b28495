"""Class maps of every image's tags, and the classifier's scores."""

from collections.abc import Container, Iterator
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from pipeline import config, formats, gradients, infer, nets, params, ranks, regions
from pipeline.arrays import Float, UInt8
from pipeline.classifier import Classifier
from pipeline.formats import Sample
from pipeline.layout import Layout
from stages import _run

NO_IMAGE = np.zeros((1, 1, 3), np.uint8)  # for classifiers whose pooling needs none
Outputs = Iterator[tuple[Sample, list[Tensor]]]


def _other(
    net: Classifier,
    samples: list[Sample],
    maps: config.SeedMaps,
    names: list[str],
    done: Container[str],
) -> Outputs:
    """The same images again, with maps of another kind."""
    kind = gradients.KINDS[maps.kind]

    def of(image: Tensor, batch: list[Sample]) -> Tensor:
        wanted = [[names.index(t) for t in s.tags] for s in batch]
        wanted *= len(image) // len(batch)  # with flip, the mirrored images after the others
        with torch.inference_mode(False), torch.enable_grad():
            return kind(net, image.clone(), wanted)

    return infer.run(net, samples, maps, what=f"seed ({maps.kind})", of=of, done=done)


def _probability(
    net: Classifier, outputs: list[Tensor], scales: tuple[float, ...], image_HW3: UInt8
) -> list[float]:
    """Taken at scale 1 and above: objects shrunk further are not what the net was trained on."""
    large = [o for o, scale in zip(outputs, scales, strict=True) if scale >= 1] or outputs
    image = torch.from_numpy(image_HW3.transpose(2, 0, 1).copy())[None]
    logits = torch.stack([net.logits(o[None], image)[0] for o in large]).mean(0)
    return logits.sigmoid().tolist()


def _probability_file(work: Layout, sample: Sample) -> Path:
    """Beside the maps while the stage is under way."""
    return work.root / "probability" / f"{sample.id}.json"


def _write(layout: Layout, work: Layout, samples: list[Sample], maps: config.SeedMaps) -> list[str]:
    """Write the maps, and beside them for a killed run the probabilities; the classes."""
    loaded, spec = nets.load(layout.seed_model)
    net, classes = cast(Classifier, loaded), spec["classes"]
    done = _run.finished(work.maps)
    plain = infer.run(net, samples, maps, what="seed", done=done)
    other = None if maps.kind == "class_maps" else _other(net, samples, maps, classes, done)
    for sample, outputs in plain:
        shown = outputs if other is None else next(other)[1]
        index = [classes.index(t) for t in sample.tags]
        found: Float = infer.merge([o[None].relu() for o in shown])[0][index].numpy()
        image = formats.read_image(sample.image) if net.superpixels else NO_IMAGE
        if net.superpixels:
            found = regions.flatten(found, image, net.superpixels)
        probability = _probability(net, outputs, maps.scales, image)
        formats.write_json(_probability_file(work, sample), probability)
        formats.write_maps(
            work.maps / f"{sample.id}.npz", found, np.array(index, np.uint8) + np.uint8(1)
        )
    return classes


def run(layout: Layout, *, maps: config.SeedMaps, shard: int) -> None:
    """Write a map for each tag of each image, and the probability of every class."""
    samples, inputs = formats.read_samples(layout.samples), [layout.samples, layout.seed_model]
    about = params.fingerprint(maps)
    with _run.partial(layout, [layout.maps], inputs=inputs, about=about, shard=shard) as work:
        classes = _write(layout, work, samples, maps)
        ranks.barrier()
        if not ranks.first():
            return
        each = [formats.read_json(_probability_file(work, s)) for s in samples]
        rows = [(s.id, *(f"{p:.5f}" for p in row)) for s, row in zip(samples, each, strict=True)]
        formats.write_table(layout.tag_scores, rows, columns=("id", *classes))


if __name__ == "__main__":
    _run.main(run, shared=True, maps=("seed.maps", config.SeedMaps), shard=_run.SHARD)
