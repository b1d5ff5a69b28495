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


def _measure(job: tuple[Path, Path]) -> tuple[Int, float]:
    """Count one map's grey levels on background and foreground, and compute its S-measure."""
    map_file, mask_file = job
    saliency, truth = formats.read_grey(map_file), formats.read_label(mask_file)
    histogram = saliency_scores.histogram(saliency, truth)
    return histogram, saliency_scores.s_measure(saliency, truth)


def run(layout: Layout, *, saliency_threshold: float, source: str) -> None:
    """Write saliency.json, and the curve of the maps of val (of train if val has no masks)."""
    scored = read_scored(layout.samples, layout.truth)
    _run.require(layout.saliency(source))
    jobs = [(layout.saliency(source) / f"{sample.id}.png", mask) for sample, mask in scored]
    measures = list(runtime.pool_map(_measure, jobs, title="evaluate saliency"))
    scores, curve = defaultdict[str, Any](dict), list[Row]()
    for split in sorted({sample.split for sample, _ in scored}):
        in_split = [m for (s, _), m in zip(scored, measures, strict=True) if s.split == split]
        links, curve = saliency_scores.summary(
            np.stack([histogram for histogram, _ in in_split]),
            np.array([structure for _, structure in in_split]),
            threshold=saliency_threshold,
        )
        for link, score in links.items():
            scores[link][split] = score
    file = layout.score_tables("saliency") / "curve.tsv"
    formats.write_table(file, curve, columns=saliency_scores.SALIENCY_CURVE, sep="\t")
    scores["about"] = {
        "images_scored": len(scored),
        "saliency": source,
        "saliency_trained_on": saliency_scores.TRAINED_ON[source],
    }
    formats.write_json(layout.scores("saliency"), scores)
