"""Scores of label images and of class probabilities.

Shapes: C = 1 + K classes with the background, H, W image size in px, N images, R resamples.
All shares are in [0, 1]. Void pixels of the truth never count.
Sources: VOC devkit (IoU, average precision), Cheng et al., "Boundary IoU", CVPR 2021.
"""

import cv2
import numpy as np

from pipeline.core.arrays import VOID, Float, Int, Mask, UInt8

OUTSIDE = 254  # the label of the frame around an image, so that its border counts as a boundary
EXACT = 2**24  # OpenCV's histogram is float32; it counts exactly up to this many pixels


def confusion(label_HW: UInt8, truth_HW: UInt8, *, classes: int) -> Int:
    """Count pixels by true and predicted class: (C, C + 1), rows truth, columns prediction.

    The last column counts predictions that are not a class (void, contested). Each is a miss for
    the true class and a false positive for no class.

    Raises:
        ValueError: If the truth holds an index that is neither a class nor void.
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
    """Return each class's intersection over union; nan if truth and prediction both lack it.

    Takes counts (..., C, C + 1) and returns (..., C).
    """
    square = confusion_CC[..., : confusion_CC.shape[-2]]
    hit = np.diagonal(square, axis1=-2, axis2=-1).astype(float)
    union = confusion_CC.sum(-1) + square.sum(-2) - hit
    return np.divide(hit, union, out=np.full_like(hit, np.nan), where=union > 0)


def mean_iou(confusion_CC: Int) -> float:
    """Return the mean IoU of the classes that occur; nan if none does."""
    iou_C = iou(confusion_CC)
    return float(np.nanmean(iou_C)) if np.isfinite(iou_C).any() else float("nan")


def all_background(confusion_CC: Int) -> Int:
    """Return the counts (C, C + 1) of a prediction that calls every pixel of the truth background.

    Its mean IoU is the chance level: no image was looked at.
    """
    counts = np.zeros_like(confusion_CC)
    counts[:, 0] = confusion_CC.sum(axis=1)
    return counts


def mean_iou_interval(
    confusion_NCC: Int, *, rng: np.random.Generator, resamples: int = 1000, share: float = 0.95
) -> tuple[float, float]:
    """Compute a bootstrap interval of the mean IoU, which draws images with replacement.

    Args:
        confusion_NCC: Pixel counts (N, C, C + 1), one matrix for each image.
        rng: Draws the resamples.
        resamples: R, the number of resamples.
        share: The share of the resamples inside the interval, in (0, 1).

    Returns:
        The low and the high end; nan if no class ever occurs.
    """
    times_RN = draw_images(len(confusion_NCC), rng=rng, resamples=resamples)
    return percentiles(resampled_mean_iou(confusion_NCC, times_RN), share=share)


def draw_images(count: int, *, rng: np.random.Generator, resamples: int = 1000) -> Int:
    """Draw `count` images with replacement, R times: how often each is drawn, (R, N) int32."""
    chances = np.full(count, 1 / count)
    parts = [min(50, resamples - r) for r in range(0, resamples, 50)]  # less memory than int64
    return np.concatenate([rng.multinomial(count, chances, p).astype(np.int32) for p in parts])


def resampled_mean_iou(confusion_NCC: Int, times_RN: Int) -> Float:
    """Return the mean IoU of each resample (R,); nan where no class occurs.

    The counts of a resample are the counts of the images, each as often as it was drawn. A class
    that occurs in none of the drawn images is left out of that resample's mean. Links that use the
    same `times_RN` are paired: their differences do not vary with what is common to them.

    Args:
        confusion_NCC: Pixel counts (N, C, C + 1), one matrix for each image.
        times_RN: How often each image is drawn, from `draw_images`.
    """
    flat = confusion_NCC.reshape(len(confusion_NCC), -1).astype(float)
    sums = [times_RN[r : r + 50] @ flat for r in range(0, len(times_RN), 50)]
    iou_RC = iou(np.concatenate(sums).reshape(-1, *confusion_NCC.shape[1:]))
    occurs_R = np.isfinite(iou_RC).sum(axis=1)
    total_R = np.nansum(iou_RC, axis=1)
    return np.divide(total_R, occurs_R, out=np.full_like(total_R, np.nan), where=occurs_R > 0)


def percentiles(values_R: Float, *, share: float = 0.95) -> tuple[float, float]:
    """Return the ends between which `share` of the finite values lie; nan without any."""
    finite = values_R[np.isfinite(values_R)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.quantile(finite, ((1 - share) / 2, (1 + share) / 2))
    return float(low), float(high)


def difference_interval(
    one_NCC: Int, other_NCC: Int, *, rng: np.random.Generator, resamples: int = 1000
) -> tuple[float, float]:
    """Return a paired bootstrap interval, of 95 %, of one link's mean IoU minus another's.

    Both links are scored on the same resamples of the same N images.

    Source: Koehn, EMNLP 2004 (paired bootstrap resampling).
    """
    times_RN = draw_images(len(one_NCC), rng=rng, resamples=resamples)
    one_R, other_R = (resampled_mean_iou(link, times_RN) for link in (one_NCC, other_NCC))
    return percentiles(one_R - other_R)


def full_supervision_interval(
    weak_NCC: Int, full_NCC: Int, *, rng: np.random.Generator, resamples: int = 1000
) -> tuple[float, float]:
    """Return a paired bootstrap interval, of 95 %, of FS%, as shares.

    Both links are scored on the same resamples of the same N images. A resample on which full
    supervision has mean IoU 0 is left out.
    """
    times_RN = draw_images(len(weak_NCC), rng=rng, resamples=resamples)
    weak_R, full_R = (resampled_mean_iou(link, times_RN) for link in (weak_NCC, full_NCC))
    return percentiles(full_supervision_share(weak_R, full_R))


def pixel_accuracy(confusion_CC: Int) -> float:
    """Return the share of the known pixels that are right; nan if none is known."""
    known = confusion_CC.sum()
    return float(np.trace(confusion_CC) / known) if known else float("nan")


def frequency_weighted_iou(confusion_CC: Int) -> float:
    """Return the mean IoU, each class weighted by its share of the truth's pixels; nan without any.

    Source: Long et al., CVPR 2015, section 5.
    """
    pixels = confusion_CC.sum(axis=1)
    if not pixels.any():
        return float("nan")
    return float(np.nansum(pixels * iou(confusion_CC)) / pixels.sum())


def boundary_counts(
    label_HW: UInt8, truth_HW: UInt8, *, classes: int, dilation: float = 0.02
) -> Int:
    """Count the pixels near the border of their own region, by class: (3, C).

    The rows count pixels of both bands that are right, pixels of the truth's band, and pixels of
    the prediction's band. First, the truth's void pixels become void in the prediction too.
    Otherwise a perfect contour inside VOC's void rim would miss the truth's band.

    Args:
        label_HW: The predicted labels.
        truth_HW: The truth. Its void pixels never count.
        classes: C. A predicted label that is not a class never counts.
        dilation: The width of a band, as a share of the image's diagonal.

    Source: Cheng et al., CVPR 2021, section 3: (G_d n G) against (P_d n P). As in the released
    code, neighbourhoods are square and the image border counts as a boundary.
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
    """Find pixels with another label, or the image border, at most `distance_px` away."""
    padded = cv2.copyMakeBorder(label_HW, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=OUTSIDE)
    square = np.ones((2 * distance_px + 1, 2 * distance_px + 1), np.uint8)
    same = cv2.erode(padded, square) == cv2.dilate(padded, square)
    return ~same[1:-1, 1:-1]


def boundary_iou(counts_3C: Int) -> float:
    """Return the mean boundary IoU of the classes that occur, from counts summed over images."""
    right, truth, label = counts_3C
    union = truth + label - right
    occurs = union > 0
    return float((right[occurs] / union[occurs]).mean()) if occurs.any() else float("nan")


def average_precision(score_N: Float, right_N: Mask, *, positives: int | None = None) -> float:
    """Return the area under the interpolated precision-recall curve (VOC 2010 and later).

    Args:
        score_N: The confidence of each answer.
        right_N: Whether the answer is right.
        positives: The number of objects to find; by default, the number of right answers. Give it
            if some objects may have no right answer.

    Returns:
        A number in [0, 1]; nan without positives.
    """
    total = int(right_N.sum()) if positives is None else positives
    if total == 0:
        return float("nan")
    hits = np.cumsum(right_N[np.argsort(-score_N, kind="stable")])
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    recall = hits / total
    return float(np.sum(np.diff(recall, prepend=0) * envelope))


def full_supervision_share(weak_miou: Float | float, full_miou: Float | float) -> Float:
    """Return FS% as a share: how much of the mIoU under full supervision weak supervision reaches.

    Takes two numbers, or two arrays of one shape; nan where `full_miou` is 0.
    """
    full = np.asarray(full_miou, float)
    return np.divide(weak_miou, full, out=np.full_like(full, np.nan), where=full > 0)


def area_under_roc(score_N: Float, positive_N: Mask) -> float:
    """Return the chance that a random positive scores above a random negative; ties count half.

    It is in [0, 1]; nan if either kind is missing.
    """
    positive, negative = score_N[positive_N], np.sort(score_N[~positive_N])
    if not (len(positive) and len(negative)):
        return float("nan")
    below, up_to = (np.searchsorted(negative, positive, side=side) for side in ("left", "right"))
    return float((below + up_to).mean() / 2 / len(negative))
