"""Segment what boxes contain, by GrabCut.

Shapes: H, W image size in px; boxes are [x, y, width, height] in px.
Source: Rother et al. 2004 (GrabCut).
"""

from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.core.arrays import Mask, UInt8

Box = tuple[int, int, int, int]

MIN_OUTSIDE_PX = 16  # with fewer px outside the boxes, GrabCut has no background to learn from


def grabcut(image_HW3: UInt8, boxes: Sequence[Box], *, iterations: int) -> Mask:
    """Segment an image by GrabCut, with everything outside the boxes as background.

    GrabCut runs once for all `boxes`. Simple Does It runs it once for each box, so a second object
    that looks the same would be taught as background.

    Returns:
        The object mask (H, W). If the boxes cover almost the whole image, it is their union.
    """
    mask = np.full(image_HW3.shape[:2], cv2.GC_BGD, np.uint8)
    for box in boxes:
        mask[inside(mask.shape, box)] = cv2.GC_PR_FGD
    if (mask == cv2.GC_BGD).sum() < MIN_OUTSIDE_PX:
        return mask == cv2.GC_PR_FGD
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    bgr = np.ascontiguousarray(image_HW3[..., ::-1])
    cv2.grabCut(bgr, mask, None, *models, iterations, cv2.GC_INIT_WITH_MASK)
    return np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD))


def inside(shape: tuple[int, ...], box: Box) -> Mask:
    """The mask of a box; a box outside the image gets the nearest pixel of the image."""
    x, y, w, h = box
    x, y = min(x, shape[1] - 1), min(y, shape[0] - 1)
    w, h = max(w + min(x, 0), 1), max(h + min(y, 0), 1)
    x, y = max(x, 0), max(y, 0)
    mask = np.zeros(shape, bool)
    mask[y : y + h, x : x + w] = True
    return mask
