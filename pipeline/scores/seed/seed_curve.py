"""Scores of class maps over all thresholds: how good the seeds could be.

Shapes: C = 1 + K classes with the background, H, W image size in px, N images, T = 100
thresholds, M kinds of pixels. All shares are in [0, 1]; void pixels of the truth never count.
Source: the seed score released with Oh et al., CVPR 2017 (mP; foreground is the mean over classes).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.arrays import VOID, Float, Int, UInt8
from pipeline.scores.shared import metrics

# The paper's grid goes on below 0 (-10 to -2, -1 to -0.01). Our maps have their negatives cut off:
# below 0 every pixel is foreground, as it is at 0, so those 109 thresholds would repeat one point.
THRESHOLDS = np.arange(100) / 100


def count(value_HW: Float, label_HW: UInt8, truth_HW: UInt8, *, classes: int) -> Int:
    """Pixel counts (T, C, C) by map value, truth and the strongest class; sum them over images."""
    known = truth_HW != VOID
    step = np.clip((value_HW[known] * len(THRESHOLDS)).astype(np.int64), 0, len(THRESHOLDS) - 1)
    flat = (step * classes + truth_HW[known]) * classes + label_HW[known]
    shape = (len(THRESHOLDS), classes, classes)
    return np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape)


def packed(counts_TCC: Int) -> Int:
    """`count` as rows (M, 4) of step, truth, class, pixels: few are not zero."""
    where = np.argwhere(counts_TCC)
    return np.column_stack([where, counts_TCC[tuple(where.T)]])


def summed(rows_NM4: Sequence[Int], *, classes: int) -> Int:
    """The sum (T, C, C) of packed counts over images."""
    total = np.zeros((len(THRESHOLDS), classes, classes), np.int64)
    for step, truth, label, pixels in (rows.T for rows in rows_NM4):
        total[step, truth, label] += pixels  # no kind of pixel stands twice in an image's rows
    return total


def confusion(rows_NM4: Sequence[Int], *, step: int, classes: int) -> Int:
    """Pixel counts (N, C, C) image by image of the seeds at one of the thresholds."""
    out = np.zeros((len(rows_NM4), classes, classes), np.int64)
    for image, rows in zip(out, rows_NM4, strict=True):
        at, truth, label, pixels = rows.T
        np.add.at(image, (truth, np.where(at >= step, label, 0)), pixels)
    return out


@dataclass(frozen=True)
class SeedScore:
    """Seeds over all thresholds; precision and recall are (T,) arrays."""

    miou_T: Float
    fg_precision_T: Float
    fg_recall_T: Float
    bg_precision_T: Float
    bg_recall_T: Float

    @property
    def best_step(self) -> int:
        """Where mIoU is best: read off the ground truth, so a diagnosis, not a result."""
        return int(np.nanargmax(self.miou_T))

    @property
    def best(self) -> tuple[float, float]:
        """Best mIoU and its threshold."""
        return float(self.miou_T[self.best_step]), float(THRESHOLDS[self.best_step])

    @property
    def mp(self) -> float:
        """mP: mean of two precisions, each at the first recall above a mark.

        Foreground: first recall > 0.20, averaged over classes; background: first recall > 0.80.
        Foreground recall rises as the threshold falls, background recall as it rises.
        """
        fg = np.flatnonzero(self.fg_recall_T > 0.20)
        bg = np.flatnonzero(self.bg_recall_T > 0.80)
        if len(fg) == 0 or len(bg) == 0:
            return float("nan")
        return float(self.fg_precision_T[fg[-1]] + self.bg_precision_T[bg[0]]) / 2


def score(counts_TCC: Int) -> SeedScore:
    """Curves out of `count`: at each threshold, pixels below it are background."""
    classes = counts_TCC.shape[1]
    above = np.cumsum(counts_TCC[::-1], axis=0)[::-1].copy()
    below = counts_TCC.sum(axis=(0, 2)) - above[:, :, 1:].sum(axis=2)
    above[:, :, 0] = below
    hit = np.einsum("tcc->tc", above).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = hit / above.sum(axis=1)
        recall = hit / above.sum(axis=2)
    has = np.isfinite(recall[0])
    fg = np.flatnonzero(has & (np.arange(classes) > 0))
    return SeedScore(
        miou_T=np.nanmean(metrics.iou(above), axis=1),
        fg_precision_T=np.nan_to_num(precision[:, fg], nan=1.0).mean(axis=1),
        fg_recall_T=recall[:, fg].mean(axis=1),
        bg_precision_T=np.nan_to_num(precision[:, 0], nan=1.0),
        bg_recall_T=recall[:, 0],
    )
