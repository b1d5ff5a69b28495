"""Scores of class maps at every threshold: how good the seeds could be.

Shapes: C = 1 + K classes with the background, H, W image size in px, N images, T = 100
thresholds, M combinations of step, true class and strongest class. All shares are in [0, 1].
Void pixels of the truth never count.
Source: the seed score (mP) released with Oh et al., CVPR 2017. It averages foreground over classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.arrays import VOID, Float, Int, UInt8
from pipeline.scores.shared import metrics

# The paper's grid also has 109 thresholds below 0 (-10 to -2, -1 to -0.01). Our maps have no
# negative values. So at all of these every pixel is foreground, as it is at threshold 0.
THRESHOLDS = np.arange(100) / 100

FG_RECALL, BG_RECALL = 0.20, 0.80  # mP reads each precision at the first recall above its mark


def count(value_HW: Float, label_HW: UInt8, truth_HW: UInt8, *, classes: int) -> Int:
    """Count pixels by map value, true class and strongest class: (T, C, C)."""
    known = truth_HW != VOID
    step = np.clip((value_HW[known] * len(THRESHOLDS)).astype(np.int64), 0, len(THRESHOLDS) - 1)
    flat = (step * classes + truth_HW[known]) * classes + label_HW[known]
    shape = (len(THRESHOLDS), classes, classes)
    return np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape)


def packed(counts_TCC: Int) -> Int:
    """Return the counts above 0 as rows (M, 4) of step, truth, class, pixels; most counts are 0."""
    index_M3 = np.argwhere(counts_TCC)
    return np.column_stack([index_M3, counts_TCC[tuple(index_M3.T)]])


def summed(rows_NM4: Sequence[Int], *, classes: int) -> Int:
    """Sum packed counts over images: (T, C, C)."""
    total = np.zeros((len(THRESHOLDS), classes, classes), np.int64)
    for step, truth, label, pixels in (rows.T for rows in rows_NM4):
        total[step, truth, label] += pixels  # an image's rows repeat no combination
    return total


def confusion(rows_NM4: Sequence[Int], *, step: int, classes: int) -> Int:
    """Count each image's pixels by truth and seed at one threshold: (N, C, C)."""
    out = np.zeros((len(rows_NM4), classes, classes), np.int64)
    for image, rows in zip(out, rows_NM4, strict=True):
        pixel_step, truth, label, pixels = rows.T
        np.add.at(image, (truth, np.where(pixel_step >= step, label, 0)), pixels)
    return out


@dataclass(frozen=True)
class SeedScore:
    """Scores of the seeds at every threshold, each an array (T,)."""

    miou_T: Float
    fg_precision_T: Float
    fg_recall_T: Float
    bg_precision_T: Float
    bg_recall_T: Float

    @property
    def best_step(self) -> int:
        """The step with the best mIoU. It is chosen on the truth: a diagnosis, not a result."""
        return int(np.nanargmax(self.miou_T))

    @property
    def best(self) -> tuple[float, float]:
        """The best mIoU and its threshold."""
        return float(self.miou_T[self.best_step]), float(THRESHOLDS[self.best_step])

    @property
    def mp_steps(self) -> tuple[int, int] | None:
        """The steps at which mP reads the foreground's and the background's precision.

        The foreground's is the highest threshold with recall > FG_RECALL, the background's the
        lowest with recall > BG_RECALL. None if a recall never reaches its mark.
        """
        fg = np.flatnonzero(self.fg_recall_T > FG_RECALL)
        bg = np.flatnonzero(self.bg_recall_T > BG_RECALL)
        return (int(fg[-1]), int(bg[0])) if len(fg) and len(bg) else None

    @property
    def mp(self) -> float:
        """mP, the mean of a foreground precision and a background precision, at `mp_steps`.

        Foreground values are means over classes.
        """
        if self.mp_steps is None:
            return float("nan")
        fg, bg = self.mp_steps
        return float(self.fg_precision_T[fg] + self.bg_precision_T[bg]) / 2


def score(counts_TCC: Int) -> SeedScore:
    """Compute the curves from `count`. At each threshold, pixels below it are background."""
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
