"""Settle contested components by a dense CRF.

Shapes: H, W image size in px, K classes.
Source: Oh et al., CVPR 2017, as in the released code. docs/paper.md lists what differs.
"""

import cv2
import numpy as np

from pipeline.core.arrays import CONTESTED, Float, Mask, UInt8
from pipeline.crf.config import Crf
from pipeline.crf.dense import dense_crf
from pipeline.guide.config import Diffuse
from pipeline.guide.rules import Fused, components


def diffuse(image_HW3: UInt8, fused: Fused, options: Diffuse, crf: Crf) -> UInt8:
    """Spread the seeds inside each contested component by a dense CRF over its classes.

    As in the released code, each class has a binary map of its seeds, clipped and blurred. There
    is no background class. Each pixel of the component takes the class with the highest marginal.

    Args:
        image_HW3: RGB image.
        fused: seeds, and labels with CONTESTED pixels.
        options: the blur, and the unary energy: minus the map (`linear`, as in the released code)
            or its -log (`neglog`).
        crf: the parameters of the CRF.

    Returns:
        Guide labels (H, W) without CONTESTED pixels.
    """
    label = fused.label_HW.copy()
    regions = components(label == CONTESTED)
    winners: dict[tuple[int, ...], UInt8] = {}  # by classes, because components may share them
    for number in range(1, int(regions.max()) + 1):
        inside = regions == number
        labels = np.unique(fused.seeds_HW[inside])
        classes = tuple(labels[labels > 0].tolist())
        if classes not in winners:
            maps = np.stack([_blurred(fused.seeds_HW == c, options.blur_sigma_px) for c in classes])
            energy = -maps if options.unary == "linear" else -np.log(maps)
            winner = dense_crf(image_HW3, energy, crf).argmax(axis=0)
            winners[classes] = np.array(classes, np.uint8)[winner]
        label[inside] = winners[classes][inside]
    return label


def _blurred(mask_HW: Mask, sigma_px: float) -> Float:
    """Clip a binary map to [0.001, 0.999], and blur it."""
    clipped = np.clip(mask_HW.astype(np.float32), 1e-3, 1 - 1e-3)
    return cv2.GaussianBlur(clipped, (0, 0), sigma_px)
