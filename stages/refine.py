"""The dense CRF at full image size over the segmenter's probabilities."""

import sys

from pipeline import blocks, config, crf, formats, params, shards
from pipeline.formats import Sample
from pipeline.layout import Layout
from stages import _run


def _one(job: tuple[Layout, Layout, Sample, str, blocks.Crf]) -> None:
    layout, work, sample, supervision, rule = job
    logits = formats.read_logits(layout.logits(supervision) / f"{sample.id}.npz")
    label = crf.label_of(formats.read_image(sample.image), logits, rule)
    formats.write_label(work.refined(supervision) / f"{sample.id}.png", label)


def run(layout: Layout, *, refine: config.Refine, sets: blocks.CrfSets, shard: int) -> None:
    """Write a refined label image for each logits file."""
    supervision = sys.argv[1]
    there = shards.ids(layout.logits(supervision))
    samples = [s for s in formats.read_samples(layout.samples) if s.id in there]
    rule = crf.chosen(sets, refine.crf)
    _run.each(
        layout,
        _one,
        samples,
        *(supervision, rule),
        outs=[layout.refined(supervision)],
        inputs=[layout.logits(supervision)],
        about=params.fingerprint(rule),
        shard=shard,
    )


if __name__ == "__main__":
    _run.main(
        run,
        shared=True,
        refine=("refine", config.Refine),
        sets=("crf", blocks.CrfSets),
        shard=_run.SHARD,
    )
