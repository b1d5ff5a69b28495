"""Turn shares into the percentages that score files hold.

Scores are in percent; None means that there is nothing to score. C = 1 + K classes, N images.
"""

from typing import Any

import numpy as np

from pipeline.core.arrays import Float, Int
from pipeline.scores.shared import metrics

Row = tuple[Any, ...]

Score = dict[str, float | None]


def percent(value: float) -> float | None:
    """Return a share in percent, with two decimals; None for nan."""
    return None if np.isnan(value) else round(100 * value, 2)


def mean(values: Float) -> float:
    """Return the mean of all values that are not nan; nan if there is none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def interval(name: str, confusion_NCC: Int) -> Score:
    """Return the ends of a score's bootstrap interval, as NAME_low and NAME_high.

    All scores use the same random seed. So a changed link changes no other link's interval.
    """
    return _ends(name, metrics.mean_iou_interval(confusion_NCC, rng=np.random.default_rng(0)))


def difference(name: str, one_NCC: Int, other_NCC: Int) -> Score:
    """Return one link's mIoU minus another's on the same images, with its paired interval."""
    one, other = (metrics.mean_iou(link.sum(axis=0)) for link in (one_NCC, other_NCC))
    ends = metrics.difference_interval(one_NCC, other_NCC, rng=np.random.default_rng(0))
    return {name: percent(one - other), **_ends(name, ends)}


def full_supervision_share(weak_NCC: Int, full_NCC: Int) -> Score:
    """Return FS% with its paired interval; both links label the same images."""
    weak, full = (metrics.mean_iou(link.sum(axis=0)) for link in (weak_NCC, full_NCC))
    ends = metrics.full_supervision_interval(weak_NCC, full_NCC, rng=np.random.default_rng(0))
    share = float(metrics.full_supervision_share(weak, full))
    return {"FS%": percent(share), **_ends("FS%", ends)}


def _ends(name: str, ends: tuple[float, float]) -> Score:
    return {f"{name}_{end}": percent(v) for end, v in zip(("low", "high"), ends, strict=True)}
