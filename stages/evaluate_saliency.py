"""Score the saliency maps against the truth's foreground."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core import formats, runtime
from pipeline.core.arrays import Int
from pipeline.core.config import Fraction
from pipeline.core.layout import Layout
from pipeline.scores.saliency import saliency_scores
from pipeline.scores.shared.percent import Row
from pipeline.scores.shared.scored import read_scored
from stages import _run

SLICES: _run.Slices = {
    "saliency_threshold": ("fuse.saliency_threshold", Fraction),
    "source": ("saliency.source", str),
}


def _one(job: tuple[Path, Path]) -> tuple[Int, float]:
    """One map's grey levels on background and foreground, and its S-measure."""
    file, mask = job
    salient, truth = formats.read_grey(file), formats.read_label(mask)
    histogram = saliency_scores.histogram(salient, truth)
    return histogram, saliency_scores.s_measure(salient, truth)


def run(layout: Layout, *, saliency_threshold: float, source: str) -> None:
    """Write saliency.json and the maps' curve (of val where there is one)."""
    scored = read_scored(layout.samples, layout.truth)
    jobs = [(layout.saliency(source) / f"{sample.id}.png", mask) for sample, mask in scored]
    each = list(runtime.pool_map(_one, jobs, what="evaluate saliency"))
    found, curve = defaultdict[str, Any](dict), list[Row]()
    for split in sorted({sample.split for sample, _ in scored}):
        here = [e for (sample, _), e in zip(scored, each, strict=True) if sample.split == split]
        links, curve = saliency_scores.summary(
            np.stack([histogram for histogram, _ in here]),
            np.array([structure for _, structure in here]),
            threshold=saliency_threshold,
        )
        for link, score in links.items():
            found[link][split] = score
    file = layout.score_tables("saliency") / "curve.tsv"
    formats.write_table(file, curve, columns=saliency_scores.SALIENCY_CURVE, sep="\t")
    found["about"] = {
        "images_scored": len(scored),
        "saliency": source,
        "saliency_trained_on": saliency_scores.TRAINED_ON[source],
    }
    formats.write_json(layout.scores("saliency"), found)
