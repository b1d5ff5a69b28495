"""Rank images by how much the links of the chain disagree about them. This needs no truth.

Shapes: H, W image size in px, h, w size at network stride, C = 1 + K classes with the background,
N images.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.core.arrays import VOID, Float, Mask, UInt8
from pipeline.scores.labels import disagreement
from pipeline.scores.shared import metrics

# What makes an image worth a look, and the reason in words. Each value is in [0, 1].
REASONS = {
    "seed_saliency": "the seeds and the saliency show different places",
    "saliency_guide": "the guide label covers another area than the saliency",
    "guide_prediction": "the segmenter sees another class or area than the guide label",
    "entropy": "the segmenter is unsure",
}


def foreground(label_HW: UInt8) -> Mask:
    """Return the pixels with a class (H, W)."""
    return (label_HW > 0) & (label_HW != VOID)


def apart(one_HW: Mask, other_HW: Mask) -> float:
    """Return 1 minus the IoU of two masks; 0 if both are empty."""
    union = np.count_nonzero(one_HW | other_HW)
    return 1 - np.count_nonzero(one_HW & other_HW) / union if union else 0.0


def labels_apart(one_HW: UInt8, other_HW: UInt8, *, classes: int) -> float:
    """Return 1 minus the mIoU of two labels where neither is void; 0 if no such pixel exists."""
    counts = disagreement.count(one_HW, other_HW, classes=classes)
    return 1 - metrics.mean_iou(counts) if counts.any() else 0.0


def entropy(logits_Chw: Float) -> float:
    """Return the mean entropy of the pixels' softmax, as a share of the highest possible one."""
    shifted = logits_Chw - logits_Chw.max(axis=0)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=0))
    entropy_hw = -(np.exp(log_p) * log_p).sum(axis=0)
    return float(entropy_hw.mean() / np.log(len(logits_Chw)))


def rank_shares(values_N: Sequence[float]) -> Float:
    """Return, for each of N values, the share of the values that are lower.

    So values with different scales can be compared: a seed covers a part of an object, and differs
    much from saliency in every image.
    """
    values = np.asarray(values_N, float)
    return np.searchsorted(np.sort(values), values, side="left") / max(1, len(values))


def rank(measures: Sequence[Mapping[str, float]]) -> list[tuple[int, float, str]]:
    """Rank images, the one most worth a look first.

    The priority of an image is the mean of the rank shares of its measures. Its reason is the
    measure with the highest share.

    Args:
        measures: For each image, the values of some or all REASONS.

    Returns:
        The index of the image, its priority in [0, 1], and its reason, a key of REASONS.
    """
    shares: list[dict[str, float]] = [{} for _ in measures]
    for name in REASONS:
        holders = [i for i, values in enumerate(measures) if name in values]
        for i, share in zip(
            holders, rank_shares([measures[i][name] for i in holders]), strict=True
        ):
            shares[i][name] = float(share)
    ranked = [
        (i, float(np.mean(list(own.values()))), max(own, key=own.__getitem__))
        for i, own in enumerate(shares)
        if own
    ]
    return sorted(ranked, key=lambda entry: (-entry[1], entry[0]))
