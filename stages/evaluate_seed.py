"""Score the classifier and its class maps; without any mask the classifier alone, by the tags."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core import formats, runtime
from pipeline.core.arrays import Float, Int, Mask
from pipeline.core.layout import Layout
from pipeline.core.maps import normalise, resize, strongest
from pipeline.core.samples import Sample, read_samples
from pipeline.scores.seed import localise, seed_curve, seed_scores
from pipeline.scores.shared.percent import Row, mean, percent
from pipeline.scores.shared.scored import read_scored
from stages import _run

SLICES: _run.Slices = {}

Counted = tuple[Sample, Int, Mask]  # packed counts and marks of an image's maps


def _one(job: tuple[Layout, Sample, Path, int]) -> tuple[Int, Mask]:
    """Pixel counts of one image's maps, and where they point."""
    layout, sample, mask, classes = job
    truth = formats.read_label(mask)
    maps, tags = formats.read_maps(layout.maps / f"{sample.id}.npz")
    maps = resize(normalise(maps), height_px=truth.shape[0], width_px=truth.shape[1])
    counts = seed_curve.count(*strongest(maps, tags), truth, classes=1 + classes)
    return seed_curve.packed(counts), localise.judge(maps, tags, truth, classes=classes)


def _count(layout: Layout, classes: list[str]) -> list[Counted]:
    scored = read_scored(layout.samples, layout.truth)
    jobs = [(layout, sample, mask, len(classes)) for sample, mask in scored]
    each = runtime.pool_map(_one, jobs, what="evaluate seed")
    return [(sample, *found) for (sample, _), found in zip(scored, each, strict=True)]


def _tag_scores(layout: Layout, classes: list[str]) -> dict[str, Float]:
    rows = formats.read_table(layout.tag_scores, columns=("id", *classes))
    return {r["id"]: np.array([float(r[c]) for c in classes]) for r in rows}


def _classifier(
    layout: Layout, samples: list[Sample], probability: dict[str, Float], classes: list[str]
) -> Float:
    """Average precision of each class."""
    rows = formats.read_table(layout.difficult, columns=("id", "tags"))
    difficult = {r["id"]: r["tags"].split() for r in rows}
    tags = {s.id: s.tags for s in samples}
    return seed_scores.classifier(probability, tags, classes, difficult=difficult)


def run(layout: Layout) -> None:
    """Write seed.json, the maps' curve (of val where there is one) and the scores of each class."""
    classes: list[str] = formats.read_json(layout.classes)
    samples, probability = read_samples(layout.samples), _tag_scores(layout, classes)
    counted, found = _count(layout, classes), defaultdict[str, Any](dict)
    curve, table = list[Row](), list[Row]()
    for split in sorted({s.split for s in samples}):
        ap = _classifier(layout, [s for s in samples if s.split == split], probability, classes)
        found["classifier"][split] = {"mAP": percent(mean(ap))}
        point_ap = np.full(len(classes), np.nan)
        if here := [c for c in counted if c[0].split == split]:
            found["maps"][split], curve = seed_scores.maps(
                [rows for _, rows, _ in here], classes=1 + len(classes)
            )
            found["localisation"][split], point_ap = seed_scores.localisation(
                np.stack([probability[sample.id] for sample, _, _ in here]),
                np.stack([marks for _, _, marks in here]),
            )
        table += seed_scores.per_class_ap(split, classes, ap, point_ap)
    folder = layout.score_tables("seed")
    formats.write_table(folder / "curve.tsv", curve, columns=seed_scores.CURVE, sep="\t")
    formats.write_table(folder / "per_class.tsv", table, columns=seed_scores.AP, sep="\t")
    spec = formats.read_json(layout.seed_model / "net.json")
    found["about"] = {"images_scored": len(counted), "run_on": {"classifier": spec["trained_on"]}}
    formats.write_json(layout.scores("seed"), found)
