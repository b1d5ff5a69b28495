"""Fuse seeds and saliency into labels, and mark the components that several classes claim.

Guide rule G1 reads component scores in place of class maps, so its seeds are empty.
"""

from functools import partial
from pathlib import Path

from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint
from pipeline.core.samples import Sample, read_samples
from pipeline.guide import labels
from pipeline.guide.config import Fuse
from stages import _resume, _run

SLICES: _run.Slices = {
    "fuse": ("fuse", Fuse),
    "source": ("saliency.source", str),
    "random_seed": ("random_seed", int),
    "shard": _run.SHARD,
}
SHARED = True


def _write_labels(
    sample: Sample, *, work: Layout, layout: Layout, fuse: Fuse, source: str, random_seed: int
) -> None:
    saliency = formats.read_grey(layout.saliency(source) / f"{sample.id}.png")
    path = _evidence(layout, fuse) / f"{sample.id}.npz"
    if fuse.evidence == "component_scores":
        changes, classes = formats.read_component_scores(path)
        fused = labels.fused_by_scores(changes, classes, saliency, fuse)
    else:
        maps, classes = formats.read_maps(path)
        image = formats.read_image(sample.image) if fuse.seed_rule == "graph_cut" else None
        chance = (random_seed, sample.id)
        fused = labels.fused(maps, classes, saliency, fuse, chance=chance, image_HW3=image)
    formats.write_label(work.seeds / f"{sample.id}.png", fused.seeds_HW)
    formats.write_label(work.fused / f"{sample.id}.png", fused.label_HW)


def _evidence(layout: Layout, fuse: Fuse) -> Path:
    """The folder that tells the rule where each tag is."""
    return layout.component_scores if fuse.evidence == "component_scores" else layout.maps


def run(layout: Layout, *, fuse: Fuse, source: str, random_seed: int, shard: int) -> None:
    """Write the seed label and the fused label of every image."""
    _resume.process_images(
        layout,
        partial(_write_labels, layout=layout, fuse=fuse, source=source, random_seed=random_seed),
        read_samples(layout.samples),
        outs=[layout.seeds, layout.fused],
        inputs=[_evidence(layout, fuse), layout.saliency(source)],
        params_key=fingerprint(fuse, source, str(random_seed)),
        shard=shard,
    )
