"""Compute how the classifier's scores change when only one saliency component of an image is left.

Guide rule G1 reads them, and no other rule does. A score is a logit of the image at scale 1 of
seed.maps.size_px, not mirrored. `pipeline/guide/component_scores.py` names the source.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from pipeline.core import formats
from pipeline.core.arrays import Int
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint
from pipeline.core.samples import Sample, read_samples
from pipeline.guide import component_scores, rules
from pipeline.inference import infer
from pipeline.nets import checkpoint
from pipeline.seeds.classifier import Classifier
from pipeline.seeds.config import SeedMaps
from stages import _resume, _run

SLICES: _run.Slices = {
    "maps": ("seed.maps", SeedMaps),
    "source": ("saliency.source", str),
    "threshold": ("fuse.saliency_threshold", float),
    "min_fraction": ("fuse.min_saliency_fraction", float),
}


def run(
    layout: Layout, *, maps: SeedMaps, source: str, threshold: float, min_fraction: float
) -> None:
    """Write the score changes of each image's tags in each of its saliency components."""
    samples, outs = read_samples(layout.samples), [layout.component_scores]
    inputs = [layout.samples, layout.seed_model, layout.saliency(source)]
    scale_1 = maps.model_copy(update={"scales": (1.0,), "flip": False})
    key = fingerprint(scale_1, source, str(threshold), str(min_fraction))
    with _resume.outputs(layout, outs, inputs=inputs, params_key=key) as work:
        make = partial(
            Scorer,
            layout.seed_model,
            scale_1,
            Components(layout.saliency(source), threshold, min_fraction),
            work.component_scores,
        )
        folders = [work.component_scores]
        _resume.compute_images(make, samples, folders=folders, title="component scores")


@dataclass(frozen=True)
class Components:
    """Numbers the saliency components of an image as the guide rule does."""

    folder: Path
    threshold: float
    min_fraction: float

    def __call__(self, sample: Sample) -> Int:
        """Return the numbers (H, W)."""
        saliency = formats.read_grey(self.folder / f"{sample.id}.png")
        return rules.saliency_components(saliency >= self.threshold, min_fraction=self.min_fraction)


class Scorer:
    """Writes the score changes of images to a folder."""

    def __init__(self, model: Path, maps: SeedMaps, components: Components, folder: Path) -> None:
        self.net, spec = checkpoint.load(model, Classifier.from_spec)
        self.classes, self.components, self.folder = spec["classes"], components, folder
        self.network = infer.Pass(self.net, maps, compute=self._score_changes)

    def __call__(self, chunk: Sequence[Sample]) -> None:
        """Write the score changes of a chunk."""
        for sample, (changes_RK,) in self.network(chunk):
            tags = [self.classes.index(t) for t in sample.tags]
            path = self.folder / f"{sample.id}.npz"
            changes = changes_RK[: self.components(sample).max(initial=0), tags].numpy()
            indices = np.array(tags, np.uint8) + np.uint8(1)  # 0 is the background
            formats.write_component_scores(path, changes, indices)

    def _score_changes(self, image_N3hw: Tensor, batch: list[Sample]) -> Tensor:
        """Compute the score changes (N, R, K) of a batch, padded with 0 to the most components."""
        net = self.net
        mean: Tensor = net.trunk.mean  # type: ignore[assignment]
        changes = [
            component_scores.score_changes(
                net.scores, image, self.components(sample), mean_1311=mean
            )
            for image, sample in zip(image_N3hw, batch, strict=True)
        ]
        return pad_sequence(changes, batch_first=True)
