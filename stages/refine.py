"""The dense CRF at full image size over the segmenter's probabilities."""

import sys

from pipeline import blocks, config, crf, formats, params, runtime
from pipeline.formats import Sample
from pipeline.layout import Layout
from stages import _run


def _one(job: tuple[Layout, Layout, str, Sample, blocks.Crf]) -> None:
    layout, work, supervision, sample, rule = job
    logits = formats.read_logits(layout.logits(supervision) / f"{sample.id}.npz")
    label = crf.label_of(formats.read_image(sample.image), logits, rule)
    formats.write_label(work.refined(supervision) / f"{sample.id}.png", label)


def run(layout: Layout, *, refine: config.Refine, sets: blocks.CrfSets) -> None:
    """Write a refined label image for each logits file."""
    supervision = sys.argv[1]
    there = {p.stem for p in layout.logits(supervision).glob("*.npz")}
    samples = [s for s in formats.read_samples(layout.samples) if s.id in there]
    rule = crf.chosen(sets, refine.crf)
    out, inputs = layout.refined(supervision), [layout.samples, layout.logits(supervision)]
    with _run.partial(layout, [out], inputs=inputs, about=params.fingerprint(rule)) as work:
        done = _run.finished(work.refined(supervision))
        jobs = [(layout, work, supervision, s, rule) for s in samples if s.id not in done]
        list(runtime.pool_map(_one, jobs, what=f"refine ({supervision})"))


if __name__ == "__main__":
    _run.main(run, refine=("refine", config.Refine), sets=("crf", blocks.CrfSets))
