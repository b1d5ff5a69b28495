"""Shares as the percentages that score files hold.

Scores are in percent, None where there is nothing to score. C = 1 + K classes, N images.
"""

from typing import Any

import numpy as np

from pipeline.core.arrays import Float, Int
from pipeline.scores.shared import metrics

Row = tuple[Any, ...]

Score = dict[str, float | None]


def percent(value: float) -> float | None:
    """A share as percent with two decimals; None for nan."""
    return None if np.isnan(value) else round(100 * value, 2)


def mean(values: Float) -> float:
    """Mean of what is no nan; nan of nothing."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def interval(name: str, confusion_NCC: Int) -> Score:
    """The ends of the bootstrap interval; one seed for all, so that a score moves alone."""
    ends = metrics.mean_iou_interval(confusion_NCC, rng=np.random.default_rng(0))
    return {f"{name}_{end}": percent(v) for end, v in zip(("low", "high"), ends, strict=True)}
