"""Scores of every link.

Shapes: C = 1 + K classes with the background, H, W image size in px, T = 100 thresholds.
All shares are in [0, 1]; void pixels of the truth never count.
Sources: VOC devkit (IoU, average precision), the authors' seed score (mP).
"""

from dataclasses import dataclass

import numpy as np

from pipeline.arrays import VOID, Float, Int, Mask, UInt8

THRESHOLDS = np.arange(100) / 100


def confusion(label_HW: UInt8, truth_HW: UInt8, *, classes: int) -> Int:
    """Pixel counts (C, C + 1): rows truth, columns prediction.

    The last column holds predictions that are no class (void, contested): mistakes for the true
    class, false positives of none.
    """
    known = truth_HW != VOID
    label = np.minimum(label_HW[known], classes).astype(np.int64)
    flat = truth_HW[known].astype(np.int64) * (classes + 1) + label
    return np.bincount(flat, minlength=classes * (classes + 1)).reshape(classes, classes + 1)


def iou(confusion_CC: Int) -> Float:
    """Intersection over union of each class; nan for a class in neither truth nor prediction."""
    hit = np.diag(confusion_CC[:, : len(confusion_CC)]).astype(float)
    union = confusion_CC.sum(1) + confusion_CC[:, : len(confusion_CC)].sum(0) - hit
    return np.divide(hit, union, out=np.full_like(hit, np.nan), where=union > 0)


def mean_iou(confusion_CC: Int) -> float:
    """Mean over the classes that occur; nan where none does."""
    each = iou(confusion_CC)
    return float(np.nanmean(each)) if np.isfinite(each).any() else float("nan")


def average_precision(score_N: Float, positive_N: Mask) -> float:
    """Area under the interpolated precision-recall curve (VOC 2010 and later).

    Returns nan for a class without positives.
    """
    if not positive_N.any():
        return float("nan")
    hits = np.cumsum(positive_N[np.argsort(-score_N, kind="stable")])
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    recall = hits / hits[-1]
    return float(np.sum(np.diff(recall, prepend=0) * envelope))


def seed_counts(value_HW: Float, label_HW: UInt8, truth_HW: UInt8, *, classes: int) -> Int:
    """Pixel counts (T, C, C) by map value, truth and the strongest class; sum them over images."""
    known = truth_HW != VOID
    step = np.clip((value_HW[known] * len(THRESHOLDS)).astype(np.int64), 0, len(THRESHOLDS) - 1)
    flat = (step * classes + truth_HW[known]) * classes + label_HW[known]
    shape = (len(THRESHOLDS), classes, classes)
    return np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape)


@dataclass(frozen=True)
class SeedScore:
    """Seeds over all thresholds; precision and recall are (T,) arrays."""

    miou_T: Float
    fg_precision_T: Float
    fg_recall_T: Float
    bg_precision_T: Float
    bg_recall_T: Float

    @property
    def best(self) -> tuple[float, float]:
        """Best mIoU and its threshold: read off the ground truth, so a diagnosis, not a result."""
        at = int(np.nanargmax(self.miou_T))
        return float(self.miou_T[at]), float(THRESHOLDS[at])

    @property
    def mp(self) -> float:
        """mP: foreground precision at recall > 0.2 and background precision at recall > 0.8.

        Foreground recall rises as the threshold falls, background recall as it rises.
        """
        fg = np.flatnonzero(self.fg_recall_T > 0.20)
        bg = np.flatnonzero(self.bg_recall_T > 0.80)
        if len(fg) == 0 or len(bg) == 0:
            return float("nan")
        return float(self.fg_precision_T[fg[-1]] + self.bg_precision_T[bg[0]]) / 2


def seed_score(counts_TCC: Int) -> SeedScore:
    """Curves out of `seed_counts`: at each threshold, pixels below it are background."""
    classes = counts_TCC.shape[1]
    above = np.cumsum(counts_TCC[::-1], axis=0)[::-1].copy()
    below = counts_TCC.sum(axis=(0, 2)) - above[:, :, 1:].sum(axis=2)
    above[:, :, 0] = below
    hit = np.einsum("tcc->tc", above).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = hit / above.sum(axis=1)
        recall = hit / above.sum(axis=2)
        union = above.sum(axis=1) + above.sum(axis=2) - hit
        each = hit / union
    has = np.isfinite(recall[0])
    fg = np.flatnonzero(has & (np.arange(classes) > 0))
    return SeedScore(
        miou_T=np.nanmean(each[:, has], axis=1),
        fg_precision_T=np.nan_to_num(precision[:, fg], nan=1.0).mean(axis=1),
        fg_recall_T=recall[:, fg].mean(axis=1),
        bg_precision_T=np.nan_to_num(precision[:, 0], nan=1.0),
        bg_recall_T=recall[:, 0],
    )


def full_supervision_share(weak_miou: float, full_miou: float) -> float:
    """FS%: the share of the full-supervision bound that tags alone reach, in percent."""
    return 100 * weak_miou / full_miou
