"""Labels of a later round, from the segmenter of the last round.

Shapes: C labels of the segmenter; H, W image size in px; h, w map size.
Source: the recursion of Khoreva et al., Simple Does It, CVPR 2017, with tags in place of boxes.
"""

from collections.abc import Sequence

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


def without_changes(label_HW: UInt8, last_HW: UInt8) -> UInt8:
    """Make pixels void whose label differs from that of the last round, unless that was void."""
    same = (label_HW == last_HW) | (last_HW == VOID)
    return np.where(same, label_HW, VOID).astype(np.uint8)
