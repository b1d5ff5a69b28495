"""Compute a class map for each tag of each image, and the probability of every class."""

from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipeline.core import formats
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

SLICES: _run.Slices = {"maps": ("seed.maps", SeedMaps)}

NO_IMAGE = np.zeros((1, 1, 3), np.uint8)  # for a classifier without superpixels, which needs none
Pair = tuple[Sample, list[Tensor], list[Tensor]]  # class maps, maps of the chosen kind


def run(layout: Layout, *, maps: SeedMaps) -> None:
    """Write a map for each tag of each image, and the probability of every class."""
    samples, inputs = read_samples(layout.samples), [layout.samples, layout.seed_model]
    key, outs = fingerprint(maps), [layout.maps]
    with _resume.outputs(layout, outs, inputs=inputs, params_key=key) as work:
        make = partial(SeedMaker, layout.seed_model, maps, work)
        _resume.compute_images(make, samples, folders=[work.maps], title="seed")
        _write_tag_scores(layout, work, samples)


def _write_tag_scores(layout: Layout, work: Layout, samples: list[Sample]) -> None:
    probabilities = [formats.read_json(_probability_file(work, s)) for s in samples]
    classes: list[str] = formats.read_json(layout.seed_model / "net.json")["classes"]
    rows = [
        (s.id, *(f"{p:.5f}" for p in probability))
        for s, probability in zip(samples, probabilities, strict=True)
    ]
    formats.write_table(layout.tag_scores, rows, columns=("id", *classes))


class SeedMaker:
    """Writes each image's maps and its probabilities to `work`."""

    def __init__(self, model: Path, maps: SeedMaps, work: Layout) -> None:
        self.net, spec = checkpoint.load(model, Classifier.from_spec)
        self.classes: list[str] = spec["classes"]
        self.network = infer.Pass(self.net, maps, offset_px=self.net.offset_px)
        self.maps, self.work = maps, work

    def __call__(self, chunk: Sequence[Sample]) -> None:
        """Write the files of a chunk."""
        for sample, class_maps, seed_maps in self._maps(chunk):
            tags = [self.classes.index(t) for t in sample.tags]
            tag_maps: Float = infer.merge([m[None].relu() for m in seed_maps])[0][tags].numpy()
            image = formats.read_image(sample.image) if self.net.superpixels else NO_IMAGE
            if self.net.superpixels:
                tag_maps = roi_pooling.flatten(tag_maps, image, self.net.superpixels)
            probability = tag_probability(self.net, class_maps, self.maps.scales, image)
            formats.write_json(_probability_file(self.work, sample), probability.tolist())
            indices = np.array(tags, np.uint8) + np.uint8(1)  # 0 is the background
            formats.write_maps(self.work.maps / f"{sample.id}.npz", tag_maps, indices)

    def _maps(self, chunk: Sequence[Sample]) -> Iterator[Pair]:
        """Yield each sample with its class maps and its maps of the chosen kind, at every scale."""
        class_pass = self.network(chunk)
        if self.maps.kind == "class_maps":
            yield from ((sample, class_maps, class_maps) for sample, class_maps in class_pass)
            return
        gradient_pass = self._gradient_network(chunk)
        for (sample, class_maps), (twin, seed_maps) in zip(class_pass, gradient_pass, strict=True):
            assert sample.id == twin.id, "both passes batch the images alike"
            yield sample, class_maps, seed_maps

    @cached_property
    def _gradient_network(self) -> infer.Pass:
        """A second pass, which computes maps from gradients."""
        at_stride = self.maps.kind in gradients.AT_NETWORK_STRIDE
        return infer.Pass(
            self.net,
            self.maps,
            compute=self._gradient_maps,
            offset_px=self.net.offset_px if at_stride else (0, 0),
        )

    def _gradient_maps(self, image: Tensor, batch: list[Sample]) -> Tensor:
        tags = [[self.classes.index(t) for t in s.tags] for s in batch]
        tags *= len(image) // len(batch)  # with flip, the mirrored images come last
        with torch.inference_mode(False), torch.enable_grad():
            return gradients.KINDS[self.maps.kind](self.net, image.clone(), tags)


def _probability_file(work: Layout, sample: Sample) -> Path:
    """The file that keeps an image's probabilities until all images are done."""
    return work.root / "probability" / f"{sample.id}.json"
