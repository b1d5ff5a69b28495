"""Score the classifier by the tags, and its class maps by the masks, if there are any."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core import formats, runtime
from pipeline.core.arrays import Float, Int, Mask
from pipeline.core.layout import Layout
from pipeline.core.maps import normalise, resize, strongest
from pipeline.core.samples import Sample, read_samples, read_tag_scores
from pipeline.scores.calibration import calibrated, reliability
from pipeline.scores.seed import localise, seed_curve, seed_scores
from pipeline.scores.shared.percent import Row, Score, mean, percent
from pipeline.scores.shared.scored import read_scored
from stages import _run

SLICES: _run.Slices = {}

Counted = tuple[Sample, Int, Mask]  # packed pixel counts and marks of an image's maps


def _count_one(job: tuple[Layout, Sample, Path, int]) -> tuple[Int, Mask]:
    """Count the pixels of one image's maps, and mark which of its boxes and points are right."""
    layout, sample, mask, classes = job
    truth = formats.read_label(mask)
    maps, tags = formats.read_maps(layout.maps / f"{sample.id}.npz")
    maps = resize(normalise(maps), height_px=truth.shape[0], width_px=truth.shape[1])
    counts = seed_curve.count(*strongest(maps, tags), truth, classes=1 + classes)
    return seed_curve.packed(counts), localise.judge(maps, tags, truth, classes=classes)


def _count(layout: Layout, classes: list[str]) -> list[Counted]:
    """Count the pixels and marks of every image with a mask."""
    scored = read_scored(layout.samples, layout.truth)
    jobs = [(layout, sample, mask, len(classes)) for sample, mask in scored]
    counts = runtime.pool_map(_count_one, jobs, title="evaluate seed")
    return [(sample, *pair) for (sample, _), pair in zip(scored, counts, strict=True)]


def _read_difficult(layout: Layout) -> dict[str, list[str]]:
    """Read the tags that do not count, by image id."""
    rows = formats.read_table(layout.difficult, columns=("id", "tags"))
    return {r["id"]: r["tags"].split() for r in rows}


def _score_maps(counted: list[Counted], classes: list[str]) -> tuple[Score, list[Row]]:
    """Score the class maps of images, and return the rows of their curve."""
    return seed_scores.maps([rows for _, rows, _ in counted], classes=1 + len(classes))


def _score_boxes(counted: list[Counted], probability: dict[str, Float]) -> tuple[Score, Float]:
    """Score the boxes and highest points of images; also return the AP of each class's points."""
    return seed_scores.localisation(
        np.stack([probability[sample.id] for sample, _, _ in counted]),
        np.stack([marks for _, _, marks in counted]),
    )


def _of_several_tags(scores: Score) -> Score:
    """Name the scores of the images with two or more tags."""
    return {f"several_tags_{name}": value for name, value in scores.items()}


def run(layout: Layout) -> None:
    """Write seed.json, a table of the classes, and the curve of the maps of val.

    If val has no masks, the curve is that of train.
    """
    classes: list[str] = formats.read_json(layout.classes)
    samples, probability = read_samples(layout.samples), read_tag_scores(layout.tag_scores, classes)
    difficult = _read_difficult(layout)
    counted, scores = _count(layout, classes), defaultdict[str, Any](dict)
    curve, table = list[Row](), list[Row]()
    calibration = calibrated.classifier(samples, probability, classes, difficult=difficult)
    ece = calibration.scores()
    for split in sorted({s.split for s in samples}):
        tags = {s.id: s.tags for s in samples if s.split == split}
        ap = seed_scores.classifier(probability, tags, classes, difficult=difficult)
        scores["classifier"][split] = {"mAP": percent(mean(ap)), **ece[split]}
        scores["chance"][split] = seed_scores.chance(tags, classes, difficult=difficult)
        if no_class := seed_scores.no_class(probability, tags):
            scores["no_class"][split] = no_class
        point_ap = np.full(len(classes), np.nan)
        if with_mask := [c for c in counted if c[0].split == split]:
            scores["maps"][split], curve = _score_maps(with_mask, classes)
            scores["localisation"][split], point_ap = _score_boxes(with_mask, probability)
        if several := [c for c in with_mask if len(c[0].tags) > 1]:
            scores["maps"][split] |= _of_several_tags(_score_maps(several, classes)[0])
            scores["localisation"][split] |= _of_several_tags(_score_boxes(several, probability)[0])
        table += seed_scores.per_class_ap(split, classes, ap, point_ap)
    folder = layout.score_tables("seed")
    formats.write_table(folder / "curve.tsv", curve, columns=seed_scores.CURVE, sep="\t")
    formats.write_table(folder / "per_class.tsv", table, columns=seed_scores.AP, sep="\t")
    formats.write_table(
        folder / "reliability.tsv", calibration.diagram(), columns=reliability.COLUMNS, sep="\t"
    )
    spec = formats.read_json(layout.seed_model / "net.json")
    scores["about"] = {
        "images_scored": len(counted),
        "run_on": {"classifier": spec["trained_on"]},
        "temperature": {"classifier": calibration.rounded_temperature},
    }
    formats.write_json(layout.scores("seed"), scores)
