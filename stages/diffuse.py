"""Make guide labels: divide contested components among their classes by a dense CRF."""

from functools import partial

from pipeline.core import formats
from pipeline.core.arrays import CONTESTED
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint
from pipeline.core.samples import Sample, read_samples
from pipeline.crf import dense
from pipeline.crf.config import Crf, CrfSets
from pipeline.guide import diffusion, rules
from pipeline.guide.config import Diffuse
from stages import _resume, _run

SLICES: _run.Slices = {
    "diffuse": ("diffuse", Diffuse),
    "sets": ("crf", CrfSets),
    "shard": _run.SHARD,
}
SHARED = True


def _write_label(
    sample: Sample, *, work: Layout, layout: Layout, diffuse: Diffuse, crf: Crf
) -> None:
    label = formats.read_label(layout.fused / f"{sample.id}.png")
    if (label == CONTESTED).any():
        seeds = formats.read_label(layout.seeds / f"{sample.id}.png")
        image = formats.read_image(sample.image)
        label = diffusion.diffuse(image, rules.Fused(seeds, label), diffuse, crf)
    formats.write_label(work.labels("guide") / f"{sample.id}.png", label)


def run(layout: Layout, *, diffuse: Diffuse, sets: CrfSets, shard: int) -> None:
    """Write the guide label of every image."""
    crf = dense.chosen(sets, diffuse.crf)
    _resume.process_images(
        layout,
        partial(_write_label, layout=layout, diffuse=diffuse, crf=crf),
        read_samples(layout.samples),
        outs=[layout.labels("guide")],
        inputs=[layout.seeds, layout.fused],
        params_key=fingerprint(diffuse, crf),
        shard=shard,
    )
