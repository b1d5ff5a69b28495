"""The dense CRF inside contested components.

Shapes: H, W image size in px, K classes.
Source: Oh et al., CVPR 2017, section 3.3, as released.
"""

import cv2
import numpy as np

from pipeline.core.arrays import CONTESTED, Float, Mask, UInt8
from pipeline.crf.config import Crf
from pipeline.crf.dense import dense_crf
from pipeline.guide.config import Diffuse
from pipeline.guide.rules import Fused, components


def diffuse(image_HW3: UInt8, fused: Fused, how: Diffuse, crf: Crf) -> UInt8:
    """Spread the seeds inside each contested component by a dense CRF over its classes.

    As released: per class the seeds' binary map, clipped and blurred; no background class; argmax
    inside the component. The energy is the map's negative (`linear`, as released) or its -log.
    """
    label = fused.label_HW.copy()
    regions = components(label == CONTESTED)
    winners: dict[tuple[int, ...], UInt8] = {}  # by classes: two components may have the same
    for number in range(1, int(regions.max()) + 1):
        inside = regions == number
        found = np.unique(fused.seeds_HW[inside])
        classes = tuple(found[found > 0].tolist())
        if classes not in winners:
            maps = np.stack([_blurred(fused.seeds_HW == c, how.blur_sigma_px) for c in classes])
            energy = -maps if how.unary == "linear" else -np.log(maps)
            winner = dense_crf(image_HW3, energy, crf).argmax(axis=0)
            winners[classes] = np.array(classes, np.uint8)[winner]
        label[inside] = winners[classes][inside]
    return label


def _blurred(mask_HW: Mask, sigma_px: float) -> Float:
    clipped = np.clip(mask_HW.astype(np.float32), 1e-3, 1 - 1e-3)
    return cv2.GaussianBlur(clipped, (0, 0), sigma_px)
