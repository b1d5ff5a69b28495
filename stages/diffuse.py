"""The dense CRF spreads the seeds inside contested components: guide labels."""

from pipeline import blocks, config, crf, formats, guide, params
from pipeline.arrays import CONTESTED
from pipeline.formats import Sample
from pipeline.layout import Layout
from stages import _run


def _one(job: tuple[Layout, Layout, Sample, config.Diffuse, blocks.Crf]) -> None:
    layout, work, sample, how, rule = job
    label = formats.read_label(layout.fused / f"{sample.id}.png")
    if (label == CONTESTED).any():
        seeds = formats.read_label(layout.seeds / f"{sample.id}.png")
        fused = guide.Fused(seeds, label)
        label = guide.diffuse(formats.read_image(sample.image), fused, how, rule)
    formats.write_label(work.labels("guide") / f"{sample.id}.png", label)


def run(layout: Layout, *, diffuse: config.Diffuse, sets: blocks.CrfSets, shard: int) -> None:
    """Write the guide label of every image."""
    rule = crf.chosen(sets, diffuse.crf)
    _run.each(
        layout,
        _one,
        formats.read_samples(layout.samples),
        *(diffuse, rule),
        outs=[layout.labels("guide")],
        inputs=[layout.seeds, layout.fused],
        about=params.fingerprint(diffuse, rule),
        shard=shard,
    )


if __name__ == "__main__":
    _run.main(
        run,
        shared=True,
        diffuse=("diffuse", config.Diffuse),
        sets=("crf", blocks.CrfSets),
        shard=_run.SHARD,
    )
