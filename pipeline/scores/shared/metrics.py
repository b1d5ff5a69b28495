"""Scores of label images and of class probabilities.

Shapes: C = 1 + K classes with the background, H, W image size in px, N images, R resamples.
All shares are in [0, 1]; void pixels of the truth never count.
Sources: VOC devkit (IoU, average precision), Cheng et al., "Boundary IoU", CVPR 2021.
"""

import cv2
import numpy as np

from pipeline.core.arrays import VOID, Float, Int, Mask, UInt8

OUTSIDE = 254  # round an image, so that its border counts as a boundary
EXACT = 2**24  # pixels that OpenCV's histogram, which is float32, counts exactly


def confusion(label_HW: UInt8, truth_HW: UInt8, *, classes: int) -> Int:
    """Pixel counts (C, C + 1): rows truth, columns prediction.

    The last column holds predictions that are no class (void, contested): mistakes for the true
    class, false positives of none.

    Raises:
        ValueError: the truth holds an index that is neither a class nor void.
    """
    label, bins = np.minimum(label_HW, classes).astype(np.uint8), [classes, classes + 1]
    total = np.zeros(bins, np.int64)
    rows = max(1, EXACT // label.shape[1])
    for top in range(0, len(label), rows):
        pair = [truth_HW[top : top + rows], label[top : top + rows]]
        total += cv2.calcHist(pair, [0, 1], None, bins, [0, bins[0], 0, bins[1]]).astype(np.int64)
    if total.sum() != np.count_nonzero(truth_HW != VOID):
        raise ValueError(f"the truth holds an index above {classes - 1} that is not void")
    return total


def iou(confusion_CC: Int) -> Float:
    """Intersection over union of each class; nan for a class in neither truth nor prediction.

    Takes (C, C + 1) counts, or many of them at once: leading axes stay.
    """
    square = confusion_CC[..., : confusion_CC.shape[-2]]
    hit = np.diagonal(square, axis1=-2, axis2=-1).astype(float)
    union = confusion_CC.sum(-1) + square.sum(-2) - hit
    return np.divide(hit, union, out=np.full_like(hit, np.nan), where=union > 0)


def mean_iou(confusion_CC: Int) -> float:
    """Mean over the classes that occur; nan where none does."""
    each = iou(confusion_CC)
    return float(np.nanmean(each)) if np.isfinite(each).any() else float("nan")


def mean_iou_interval(
    confusion_NCC: Int, *, rng: np.random.Generator, resamples: int = 1000, share: float = 0.95
) -> tuple[float, float]:
    """Bootstrap interval of the mean IoU over images: percentiles of resampled splits.

    A resample draws N images with replacement, so its counts are the images' counts times
    multinomial weights. A class that no drawn image holds is left out of that resample's mean.

    Args:
        confusion_NCC: pixel counts (N, C, C + 1) image by image.
        rng: draws the resamples.
        resamples: how many.
        share: of the resamples that lie inside, in (0, 1).

    Returns:
        Low and high end; nan where no class ever occurs.
    """
    count = len(confusion_NCC)
    flat, chances = confusion_NCC.reshape(count, -1).astype(float), np.full(count, 1 / count)
    parts = [min(50, resamples - r) for r in range(0, resamples, 50)]  # R x N counts fill memory
    sums = [rng.multinomial(count, chances, size=part) @ flat for part in parts]
    each_RC = iou(np.concatenate(sums).reshape(resamples, *confusion_NCC.shape[1:]))
    occurs = np.isfinite(each_RC)
    some = occurs.any(axis=1)
    if not some.any():
        return float("nan"), float("nan")
    mean_R = np.nansum(each_RC[some], axis=1) / occurs[some].sum(axis=1)
    low, high = np.quantile(mean_R, ((1 - share) / 2, (1 + share) / 2))
    return float(low), float(high)


def pixel_accuracy(confusion_CC: Int) -> float:
    """Share of the known pixels that are right; nan without any."""
    known = confusion_CC.sum()
    return float(np.trace(confusion_CC) / known) if known else float("nan")


def frequency_weighted_iou(confusion_CC: Int) -> float:
    """IoU of each class weighted by its share of the truth's pixels; nan without any.

    Source: Long et al., CVPR 2015, section 5.
    """
    pixels = confusion_CC.sum(axis=1)
    if not pixels.any():
        return float("nan")
    return float(np.nansum(pixels * iou(confusion_CC)) / pixels.sum())


def boundary_counts(
    label_HW: UInt8, truth_HW: UInt8, *, classes: int, dilation: float = 0.02
) -> Int:
    """Pixels within a short distance of their own region's border, by class: (3, C).

    Rows: right, truth, prediction. Void pixels of the truth are void in the prediction too before
    regions are compared; else a perfect contour amid VOC's void rim would miss the truth's band.

    Args:
        label_HW: predicted labels.
        truth_HW: the truth; its void pixels count nowhere.
        classes: C; a prediction that is no class counts for none.
        dilation: the distance, as a share of the image's diagonal.

    Source: Cheng et al., CVPR 2021, section 3: (G_d n G) against (P_d n P), with square
    neighbourhoods and the image border as a boundary, as released.
    """
    known = truth_HW != VOID
    distance_px = max(1, round(dilation * float(np.hypot(*truth_HW.shape))))
    label = np.where(known, label_HW, VOID).astype(np.uint8)
    band = _band(label, distance_px) & known
    band_truth = _band(truth_HW, distance_px) & known
    right = band & band_truth & (label == truth_HW)
    pixels = (truth_HW[right], truth_HW[band_truth], label[band & (label < classes)])
    return np.stack([np.bincount(p, minlength=classes) for p in pixels])


def _band(label_HW: UInt8, distance_px: int) -> Mask:
    """Pixels with another label, or the image's end, in the square of +- `distance_px`."""
    padded = cv2.copyMakeBorder(label_HW, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=OUTSIDE)
    square = np.ones((2 * distance_px + 1, 2 * distance_px + 1), np.uint8)
    same = cv2.erode(padded, square) == cv2.dilate(padded, square)
    return ~same[1:-1, 1:-1]


def boundary_iou(counts_3C: Int) -> float:
    """Mean boundary IoU of the classes that occur, from counts summed over images."""
    right, truth, label = counts_3C
    union = truth + label - right
    some = union > 0
    return float((right[some] / union[some]).mean()) if some.any() else float("nan")


def average_precision(score_N: Float, right_N: Mask, *, positives: int | None = None) -> float:
    """Area under the interpolated precision-recall curve (VOC 2010 and later).

    Args:
        score_N: the confidence of each answer.
        right_N: whether it is right.
        positives: how many there are to be found, where no answer may find some of them.

    Returns:
        In [0, 1]; nan without positives.
    """
    total = int(right_N.sum()) if positives is None else positives
    if total == 0:
        return float("nan")
    hits = np.cumsum(right_N[np.argsort(-score_N, kind="stable")])
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    recall = hits / total
    return float(np.sum(np.diff(recall, prepend=0) * envelope))


def full_supervision_share(weak_miou: float, full_miou: float) -> float:
    """FS%: the share of the full-supervision bound that tags alone reach, in percent."""
    return 100 * weak_miou / full_miou
