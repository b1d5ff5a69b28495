"""Pixel counts of the chain's links as scores and as tables for `dvc plots`.

Counts are kept by (link, split): `maps` (T, C, C), `saliency*` (2, 3), all others (C, C + 1); see
`pipeline.metrics`. Scores are in percent, None where there is nothing to score.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pipeline import metrics
from pipeline.arrays import Int
from pipeline.blocks import SUPERVISIONS

Counts = dict[tuple[str, str], Int]
Row = tuple[Any, ...]
SALIENCY = ("saliency", "saliency_half")  # foreground at fuse's threshold, and at the released 0.5

LAST = (*(f"refined_{s}" for s in SUPERVISIONS), "guide")  # the chain's end, the best one first


def percent(value: float) -> float | None:
    """A share as percent with two decimals; None for nan."""
    return None if np.isnan(value) else round(100 * value, 2)


def add(total: Counts, each: Counts) -> None:
    """Add one image's counts to the sum."""
    for key, counts in each.items():
        total[key] = total[key] + counts if key in total else counts


def by_link(total: Counts) -> dict[str, dict[str, Any]]:
    """Every link's score on every split."""
    out: dict[str, dict[str, Any]] = defaultdict(dict)
    for (link, split), counts in sorted(total.items()):
        if link == "maps":
            score = metrics.seed_score(counts)
            best, threshold = score.best
            out[link][split] = {
                "best_mIoU": percent(best),  # read off the ground truth: a diagnosis
                "best_threshold": threshold,
                "mP": percent(score.mp),
            }
        elif link in SALIENCY:
            out[link][split] = {"IoU": percent(float(metrics.iou(counts)[1]))}
        else:
            out[link][split] = {"mIoU": percent(metrics.mean_iou(counts))}
    return dict(out)


def classifier(
    probability: Mapping[str, Sequence[float]],
    tags: Mapping[str, Sequence[str]],
    classes: Sequence[str],
) -> float | None:
    """Mean average precision over the classes that occur, of images by id."""
    ap = [
        metrics.average_precision(
            np.array([probability[key][k] for key in tags]),
            np.array([name in tags[key] for key in tags]),
        )
        for k, name in enumerate(classes)
    ]
    return percent(float(np.nanmean(ap))) if np.isfinite(ap).any() else None


def last_link(total: Counts) -> tuple[str, str] | None:
    """The last label link that was scored, and the split that counts: val where there is one."""
    for link in LAST:
        for split in ("val", "train"):
            if (link, split) in total:
                return link, split
    return None


def per_class(total: Counts, names: Sequence[str]) -> list[Row]:
    """(link, split, class, IoU) of every label link."""
    return [
        (link, split, name, f"{100 * value:.2f}")
        for (link, split), counts in sorted(total.items())
        if link not in ("maps", *SALIENCY)
        for name, value in zip(names, metrics.iou(counts), strict=True)
    ]


def curve(counts_TCC: Int) -> list[Row]:
    """(threshold, mIoU, foreground precision, recall, background precision, recall)."""
    s = metrics.seed_score(counts_TCC)
    columns = (s.miou_T, s.fg_precision_T, s.fg_recall_T, s.bg_precision_T, s.bg_recall_T)
    return [
        (f"{t:.2f}", *(f"{100 * v:.2f}" for v in values))
        for t, *values in zip(metrics.THRESHOLDS, *columns, strict=True)
    ]


CURVE = ("threshold", "mIoU", "fg_precision", "fg_recall", "bg_precision", "bg_recall")


def confusion_pairs(counts_CC: Int, names: Sequence[str]) -> Iterable[Row]:
    """(truth, prediction) pairs, 1000 a true class: the form that `dvc plots` draws."""
    for i, name in enumerate(names):
        share = counts_CC[i] / max(1, counts_CC[i].sum())
        for j, predicted in enumerate([*names, "void"]):
            yield from [(name, predicted)] * round(1000 * share[j])
