"""Labels of a later round, from the segmenter of the last round.

Shapes: C labels of the segmenter; H, W image size in px; h, w map size.
Source: the recursion of Khoreva et al., Simple Does It, CVPR 2017, with tags in place of boxes.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.core.arrays import VOID, Float, UInt8
from pipeline.core.maps import normalise, resize
from pipeline.crf import dense
from pipeline.crf.config import Crf


def next_saliency(foreground_hw: Float, saliency_HW: Float) -> Float:
    """Average a segmenter's foreground probability and the saliency map; scale the maximum to 1.

    Departure from the source: the segmenter's output is not the next round's label, but a part of
    its saliency. The seeds and the guide rule keep the classes to the image's tags, as boxes do in
    the paper.

    Returns:
        Saliency (H, W) in [0, 1].
    """
    height, width = saliency_HW.shape
    foreground = resize(foreground_hw, height_px=height, width_px=width)
    return normalise((foreground + saliency_HW) / 2)


def posterior_label(image_HW3: UInt8, logits_Chw: Float, classes: Sequence[int], crf: Crf) -> UInt8:
    """Label an image by a segmenter that knows its tags, and a CRF.

    The softmax goes over the background and the image's tags alone, so no pixel takes another
    class.

    Args:
        image_HW3: RGB image.
        logits_Chw: the segmenter's logits; index 0 is the background.
        classes: the class indices of the image's tags, from 1.
        crf: the parameters of the CRF.

    Returns:
        Labels (H, W): a class index of `classes`, or 0 for the background.
    """
    labels = np.array([0, *classes], np.uint8)
    return labels[dense.label_of(image_HW3, logits_Chw[labels], crf)]


def label_without_crf(
    logits_Chw: Float, classes: Sequence[int], *, height_px: int, width_px: int
) -> UInt8:
    """Label an image (H, W) as `posterior_label` does, but without a CRF."""
    labels = np.array([0, *classes], np.uint8)
    return labels[dense.argmax(logits_Chw[labels], height_px=height_px, width_px=width_px)]


def without_changes(label_HW: UInt8, last_HW: UInt8) -> UInt8:
    """Make pixels void whose label differs from that of the last round, unless that was void."""
    same = (label_HW == last_HW) | (last_HW == VOID)
    return np.where(same, label_HW, VOID).astype(np.uint8)


def agreement(label_HW: UInt8, last_HW: UInt8) -> float:
    """Return how far two labels agree on the objects, in [0, 1].

    It is the share of the pixels with an object in one of them that have the same class in both; 1
    if neither has an object. Void pixels of the last label do not count.
    """
    known = last_HW != VOID
    objects = known & ((label_HW > 0) | (last_HW > 0))
    same = objects & (label_HW == last_HW)
    return float(same.sum() / objects.sum()) if objects.any() else 1.0


def most_agreed(agreements: Mapping[str, float], *, share: float) -> set[str]:
    """Choose the images on which a segmenter agrees most with the labels that it learned from.

    Args:
        agreements: the agreement of each image, by id.
        share: the share of the images to choose, in (0, 1]; their number is rounded up.

    Returns:
        The ids. Of equal agreements, the first id wins.
    """
    ordered = sorted(agreements, key=lambda key: (-agreements[key], key))
    return set(ordered[: math.ceil(share * len(ordered))])
