"""Counts for the page: classes, tags that occur together, confusions, IoU with intervals.

Shapes: N images, C = 1 + K classes with the background, R resamples.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.core.samples import Sample
from pipeline.scores.shared import metrics

SPLITS = ("train", "val")


@dataclass(frozen=True)
class Matrix:
    """A table of numbers with a name for each row and column. `share` colours a cell, 0 to 100."""

    rows: list[str]
    columns: list[str]
    values: list[list[float]] | list[list[int]]
    share: list[list[float]]


@dataclass(frozen=True)
class ClassIou:
    """The IoU of a class in percent, and the ends of its interval; None if it is not known."""

    name: str
    iou: float
    low: float | None
    high: float | None


def class_balance(samples: Sequence[Sample], classes: Sequence[str]) -> list[tuple[str, dict]]:  # type: ignore[type-arg]
    """Count the images of each class by split."""
    counts = {split: Counter(t for s in samples if s.split == split for t in s.tags)
              for split in SPLITS}  # fmt: skip
    return [(name, {split: counts[split][name] for split in SPLITS}) for name in classes]


def cooccurrence(samples: Sequence[Sample], classes: Sequence[str]) -> Matrix:
    """Count the images that have both tags; on the diagonal, those that have the tag alone."""
    place = {name: i for i, name in enumerate(classes)}
    both = np.zeros((len(classes), len(classes)), np.int64)
    for s in samples:
        tags = sorted(place[t] for t in set(s.tags))
        for i in tags:
            for j in tags:
                both[i, j] += i != j or len(tags) == 1
    images = np.array([sum(name in s.tags for s in samples) for name in classes])
    share = 100 * both / np.maximum(1, images)[:, None]
    return Matrix([*classes], [*classes], both.tolist(), share.round(1).tolist())


def confusion(pairs: Iterable[Mapping[str, str]], classes: Sequence[str]) -> Matrix | None:
    """Return which share of each true class, in percent, got which label; None without pairs.

    Args:
        pairs: Rows with truth and prediction, about 1,000 for each true class.
        classes: The names, background first.
    """
    counts = Counter((p["truth"], p["prediction"]) for p in pairs)
    rows = [c for c in classes if any(truth == c for truth, _ in counts)]
    columns = [*classes, *(["void"] if any(p == "void" for _, p in counts) else [])]
    if not rows:
        return None
    totals = {row: sum(counts[row, c] for c in columns) for row in rows}
    shares = [[round(100 * counts[row, c] / totals[row], 1) for c in columns] for row in rows]
    return Matrix(rows, columns, shares, shares)


def class_iou(rows: Iterable[Mapping[str, str]], counts_NCC: Any | None) -> list[ClassIou]:
    """Return the IoU of each class with a bootstrap interval of 95 % over the images.

    Args:
        rows: Rows with class and iou, in percent, background first.
        counts_NCC: The pixel counts of each image (N, C, C + 1), or None.
    """
    rows = [*rows]
    ends = [(None, None)] * len(rows) if counts_NCC is None else _intervals(counts_NCC)
    return [
        ClassIou(r["class"], float(r["iou"]), low, high)
        for r, (low, high) in zip(rows, ends, strict=True)
        if r["iou"] != "nan"
    ]


def _intervals(counts_NCC: Any) -> list[tuple[float | None, float | None]]:
    times_RN = metrics.draw_images(len(counts_NCC), rng=np.random.default_rng(0))
    sums = times_RN @ counts_NCC.reshape(len(counts_NCC), -1).astype(float)
    iou_RC = metrics.iou(sums.reshape(-1, *counts_NCC.shape[1:]))
    ends = [metrics.percentiles(100 * iou_R) for iou_R in iou_RC.T]
    return [tuple(None if np.isnan(v) else round(v, 1) for v in pair) for pair in ends]  # type: ignore[misc]
