"""Score the saliency maps against the truth's foreground."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import blocks, choices, formats, runtime, saliency_scores, scores, tally
from pipeline.arrays import Int
from pipeline.layout import Layout
from stages import _run


def _one(job: tuple[Path, Path]) -> tuple[Int, float]:
    """One map's grey levels on background and foreground, and its S-measure."""
    file, mask = job
    salient, truth = formats.read_grey(file), formats.read_label(mask)
    histogram = saliency_scores.histogram(salient, truth)
    return histogram, saliency_scores.s_measure(salient, truth)


def run(layout: Layout, *, saliency_threshold: float, source: str) -> None:
    """Write saliency.json and the maps' curve (of val where there is one)."""
    scored = tally.read_scored(layout.samples, layout.truth)
    jobs = [(layout.saliency(source) / f"{sample.id}.png", mask) for sample, mask in scored]
    each = list(runtime.pool_map(_one, jobs, what="evaluate saliency"))
    found, curve = defaultdict[str, Any](dict), list[scores.Row]()
    for split in sorted({sample.split for sample, _ in scored}):
        here = [e for (sample, _), e in zip(scored, each, strict=True) if sample.split == split]
        links, curve = scores.saliency(
            np.stack([histogram for histogram, _ in here]),
            np.array([structure for _, structure in here]),
            threshold=saliency_threshold,
        )
        for link, score in links.items():
            found[link][split] = score
    file = layout.score_tables("saliency") / "curve.tsv"
    formats.write_table(file, curve, columns=scores.SALIENCY_CURVE, sep="\t")
    found["about"] = {
        "images_scored": len(scored),
        "saliency": source,
        "saliency_trained_on": choices.TRAINED_ON[source],
    }
    formats.write_json(layout.scores("saliency"), found)


if __name__ == "__main__":
    _run.main(
        run,
        saliency_threshold=("fuse.saliency_threshold", blocks.Fraction),
        source=("saliency.source", str),
    )
