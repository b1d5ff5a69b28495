"""Class maps of every image's tags, and the classifier's scores."""

from collections.abc import Container, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipeline.core import formats, ranks
from pipeline.core.arrays import Float, UInt8
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint
from pipeline.core.samples import Sample, read_samples
from pipeline.inference import infer
from pipeline.nets import checkpoint
from pipeline.seeds import gradients, roi_pooling
from pipeline.seeds.classifier import Classifier
from pipeline.seeds.config import SeedMaps
from stages import _resume, _run

SLICES: _run.Slices = {
    "maps": ("seed.maps", SeedMaps),
    "shard": _run.SHARD,
}
SHARED = True

NO_IMAGE = np.zeros((1, 1, 3), np.uint8)  # for classifiers whose pooling needs none
Outputs = Iterator[tuple[Sample, list[Tensor]]]


def run(layout: Layout, *, maps: SeedMaps, shard: int) -> None:
    """Write a map for each tag of each image, and the probability of every class."""
    samples, inputs = read_samples(layout.samples), [layout.samples, layout.seed_model]
    key, outs = fingerprint(maps), [layout.maps]
    with _resume.outputs(layout, outs, inputs=inputs, params_key=key, shard=shard) as work:
        classes = _write_maps(layout, work, samples, maps)
        ranks.barrier()
        if not ranks.first():
            return
        each = [formats.read_json(_probability_file(work, s)) for s in samples]
        rows = [(s.id, *(f"{p:.5f}" for p in row)) for s, row in zip(samples, each, strict=True)]
        formats.write_table(layout.tag_scores, rows, columns=("id", *classes))


def _write_maps(layout: Layout, work: Layout, samples: list[Sample], maps: SeedMaps) -> list[str]:
    """Write the maps, and beside them the probabilities, which a killed run needs; the classes."""
    net, spec = checkpoint.load(layout.seed_model, Classifier.from_spec)
    classes: list[str] = spec["classes"]
    done = _resume.finished_ids(work.maps)
    for sample, logit_maps, shown_maps in _outputs(net, samples, maps, classes, done):
        index = [classes.index(t) for t in sample.tags]
        evidence: Float = infer.merge([o[None].relu() for o in shown_maps])[0][index].numpy()
        image = formats.read_image(sample.image) if net.superpixels else NO_IMAGE
        if net.superpixels:
            evidence = roi_pooling.flatten(evidence, image, net.superpixels)
        probability = _probability(net, logit_maps, maps.scales, image)
        formats.write_json(_probability_file(work, sample), probability)
        formats.write_maps(
            work.maps / f"{sample.id}.npz", evidence, np.array(index, np.uint8) + np.uint8(1)
        )
    return classes


def _outputs(
    net: Classifier,
    samples: list[Sample],
    maps: SeedMaps,
    classes: list[str],
    done: Container[str],
) -> Iterator[tuple[Sample, list[Tensor], list[Tensor]]]:
    """Each sample with its class maps at every scale, and with the maps of the chosen kind."""
    plain = infer.run(net, samples, maps, what="seed", done=done)
    if maps.kind == "class_maps":
        yield from ((sample, outputs, outputs) for sample, outputs in plain)
        return
    gradient = _gradient_maps(net, samples, maps, classes, done)
    for (sample, outputs), (same, shown) in zip(plain, gradient, strict=True):
        assert sample.id == same.id, "both passes batch the images alike"
        yield sample, outputs, shown


def _gradient_maps(
    net: Classifier,
    samples: list[Sample],
    maps: SeedMaps,
    classes: list[str],
    done: Container[str],
) -> Outputs:
    """Maps that gradients make; they need a pass of their own."""
    kind = gradients.KINDS[maps.kind]

    def compute(image: Tensor, batch: list[Sample]) -> Tensor:
        wanted = [[classes.index(t) for t in s.tags] for s in batch]
        wanted *= len(image) // len(batch)  # with flip, the mirrored images come last
        with torch.inference_mode(False), torch.enable_grad():
            return kind(net, image.clone(), wanted)

    return infer.run(net, samples, maps, what=f"seed ({maps.kind})", compute=compute, done=done)


def _probability(
    net: Classifier, outputs: list[Tensor], scales: tuple[float, ...], image_HW3: UInt8
) -> list[float]:
    """Of every class, at scale 1 and above: the net saw no object shrunk further in training."""
    large = [o for o, scale in zip(outputs, scales, strict=True) if scale >= 1] or outputs
    image = torch.from_numpy(image_HW3.transpose(2, 0, 1).copy())[None]
    logits = torch.stack([net.logits(o[None], image)[0] for o in large]).mean(0)
    return logits.sigmoid().tolist()


def _probability_file(work: Layout, sample: Sample) -> Path:
    """Beside the maps while the stage is under way."""
    return work.root / "probability" / f"{sample.id}.json"
