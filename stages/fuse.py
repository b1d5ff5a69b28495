"""Fuse seeds and saliency into labels, and mark the components that several classes claim.

Guide rule G1 reads component scores in place of class maps, so its seeds are empty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint
from pipeline.core.samples import Sample, read_samples
from pipeline.guide import labels, rules
from pipeline.guide.config import Fuse
from stages import _resume, _run

SLICES: _run.Slices = {
    "fuse": ("fuse", Fuse),
    "source": ("saliency.source", str),
    "random_seed": ("random_seed", int),
}


@dataclass(frozen=True)
class Fuser:
    """Writes the seed labels and the fused labels of images to `work`."""

    layout: Layout
    fuse: Fuse
    source: str
    random_seed: int
    work: Layout

    def __call__(self, chunk: Sequence[Sample]) -> None:
        """Write the labels of a chunk."""
        for sample in chunk:
            fused = self._fused(sample)
            formats.write_label(self.work.seeds / f"{sample.id}.png", fused.seeds_HW)
            formats.write_label(self.work.fused / f"{sample.id}.png", fused.label_HW)

    def _fused(self, sample: Sample) -> rules.Fused:
        fuse = self.fuse
        saliency = formats.read_grey(self.layout.saliency(self.source) / f"{sample.id}.png")
        path = _evidence(self.layout, fuse) / f"{sample.id}.npz"
        if fuse.evidence == "component_scores":
            return labels.fused_by_scores(*formats.read_component_scores(path), saliency, fuse)
        maps, classes = formats.read_maps(path)
        image = formats.read_image(sample.image) if fuse.seed_rule == "graph_cut" else None
        chance = (self.random_seed, sample.id)
        return labels.fused(maps, classes, saliency, fuse, chance=chance, image_HW3=image)


def _evidence(layout: Layout, fuse: Fuse) -> Path:
    """The folder that tells the rule where each tag is."""
    return layout.component_scores if fuse.evidence == "component_scores" else layout.maps


def run(layout: Layout, *, fuse: Fuse, source: str, random_seed: int) -> None:
    """Write the seed label and the fused label of every image."""
    _resume.process_images(
        layout,
        partial(Fuser, layout, fuse, source, random_seed),
        read_samples(layout.samples),
        outs=[layout.seeds, layout.fused],
        inputs=[_evidence(layout, fuse), layout.saliency(source)],
        params_key=fingerprint(fuse, source, str(random_seed)),
    )
