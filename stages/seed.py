"""Compute a class map for each tag of each image, and the probability of every class."""

from collections.abc import Container, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipeline.core import formats, ranks
from pipeline.core.arrays import Float
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint
from pipeline.core.samples import Sample, read_samples
from pipeline.inference import infer
from pipeline.nets import checkpoint
from pipeline.seeds import gradients, roi_pooling
from pipeline.seeds.classifier import Classifier
from pipeline.seeds.config import SeedMaps
from pipeline.seeds.tag_scores import tag_probability
from stages import _resume, _run

SLICES: _run.Slices = {
    "maps": ("seed.maps", SeedMaps),
    "shard": _run.SHARD,
}
SHARED = True

NO_IMAGE = np.zeros((1, 1, 3), np.uint8)  # for a classifier without superpixels, which needs none


def run(layout: Layout, *, maps: SeedMaps, shard: int) -> None:
    """Write a map for each tag of each image, and the probability of every class."""
    samples, inputs = read_samples(layout.samples), [layout.samples, layout.seed_model]
    key, outs = fingerprint(maps), [layout.maps]
    with _resume.outputs(layout, outs, inputs=inputs, params_key=key, shard=shard) as work:
        classes = _write_maps(layout, work, samples, maps)
        ranks.barrier()
        if ranks.first():
            _write_tag_scores(layout, work, samples, classes)


def _write_tag_scores(
    layout: Layout, work: Layout, samples: list[Sample], classes: list[str]
) -> None:
    probabilities = [formats.read_json(_probability_file(work, s)) for s in samples]
    rows = [
        (s.id, *(f"{p:.5f}" for p in probability))
        for s, probability in zip(samples, probabilities, strict=True)
    ]
    formats.write_table(layout.tag_scores, rows, columns=("id", *classes))


def _write_maps(layout: Layout, work: Layout, samples: list[Sample], maps: SeedMaps) -> list[str]:
    """Write each image's maps and its probabilities to `work`; return the class list."""
    net, spec = checkpoint.load(layout.seed_model, Classifier.from_spec)
    classes: list[str] = spec["classes"]
    done = _resume.finished_ids(work.maps)
    for sample, class_maps, seed_maps in _compute_maps(net, samples, maps, classes, done):
        tags = [classes.index(t) for t in sample.tags]
        tag_maps: Float = infer.merge([m[None].relu() for m in seed_maps])[0][tags].numpy()
        image = formats.read_image(sample.image) if net.superpixels else NO_IMAGE
        if net.superpixels:
            tag_maps = roi_pooling.flatten(tag_maps, image, net.superpixels)
        probability = tag_probability(net, class_maps, maps.scales, image)
        formats.write_json(_probability_file(work, sample), probability.tolist())
        indices = np.array(tags, np.uint8) + np.uint8(1)  # 0 is the background
        formats.write_maps(work.maps / f"{sample.id}.npz", tag_maps, indices)
    return classes


def _compute_maps(
    net: Classifier,
    samples: list[Sample],
    maps: SeedMaps,
    classes: list[str],
    done: Container[str],
) -> Iterator[tuple[Sample, list[Tensor], list[Tensor]]]:
    """Yield each sample with its class maps and its maps of the chosen kind, at every scale."""
    offset_px = net.offset_px
    class_pass = infer.run(net, samples, maps, title="seed", done=done, offset_px=offset_px)
    if maps.kind == "class_maps":
        yield from ((sample, class_maps, class_maps) for sample, class_maps in class_pass)
        return
    gradient_pass = _gradient_maps(net, samples, maps, classes, done)
    for (sample, class_maps), (twin, gradient_maps) in zip(class_pass, gradient_pass, strict=True):
        assert sample.id == twin.id, "both passes batch the images alike"
        yield sample, class_maps, gradient_maps


def _gradient_maps(
    net: Classifier,
    samples: list[Sample],
    maps: SeedMaps,
    classes: list[str],
    done: Container[str],
) -> Iterator[tuple[Sample, list[Tensor]]]:
    """Yield each sample with its maps from gradients, in a pass of its own."""
    maps_from_gradients = gradients.KINDS[maps.kind]

    def compute(image: Tensor, batch: list[Sample]) -> Tensor:
        tags = [[classes.index(t) for t in s.tags] for s in batch]
        tags *= len(image) // len(batch)  # with flip, the mirrored images come last
        with torch.inference_mode(False), torch.enable_grad():
            return maps_from_gradients(net, image.clone(), tags)

    return infer.run(
        net,
        samples,
        maps,
        title=f"seed ({maps.kind})",
        done=done,
        compute=compute,
        offset_px=net.offset_px if maps.kind in gradients.AT_NETWORK_STRIDE else (0, 0),
    )


def _probability_file(work: Layout, sample: Sample) -> Path:
    """The file that keeps an image's probabilities until all images are done."""
    return work.root / "probability" / f"{sample.id}.json"
