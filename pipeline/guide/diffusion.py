"""Settle contested components by a dense CRF.

Shapes: H, W image size in px, K classes.
Source: Oh et al., CVPR 2017, as in the released code. docs/paper.md lists what differs.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from pipeline.core.arrays import CONTESTED, Float, Mask, UInt8
from pipeline.core.maps import resize
from pipeline.crf.config import Crf
from pipeline.crf.dense import dense_crf
from pipeline.guide.config import Diffuse
from pipeline.guide.rules import Fused, components


def diffuse(image_HW3: UInt8, fused: Fused, options: Diffuse, crf: Crf) -> UInt8:
    """Spread the seeds inside each contested component by a dense CRF over its classes.

    As in the released code, each class has a binary map of its seeds, clipped and blurred. There
    is no background class. Each pixel of the component takes the class with the highest marginal.

    Departure: `options.shrink` above 1 approximates. The CRF then works on an image whose sides are
    divided by it, and so are the blur and the CRF's widths in px. The marginals are enlarged again.
    docs/benchmarks.md has the time that this saves, and how many labels it changes.

    Args:
        image_HW3: RGB image.
        fused: seeds, and labels with CONTESTED pixels.
        options: the blur, and the unary energy: minus the map (`linear`, as in the released code)
            or its -log (`neglog`); how much to shrink the image.
        crf: the parameters of the CRF, for the image at its own size.

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
            seeds = [fused.seeds_HW == c for c in classes]
            winner = _marginals(image_HW3, seeds, options, crf).argmax(axis=0)
            winners[classes] = np.array(classes, np.uint8)[winner]
        label[inside] = winners[classes][inside]
    return label


def _marginals(image_HW3: UInt8, seeds: Sequence[Mask], options: Diffuse, crf: Crf) -> Float:
    """Compute the marginals (K, H, W) of the CRF over classes with these seeds (H, W)."""
    height, width = image_HW3.shape[:2]
    factor = options.shrink if crf.iterations else 1  # without a CRF, the unary decides
    maps = np.stack([_blurred(s, options.blur_sigma_px, shrink=factor) for s in seeds])
    energy = -maps if options.unary == "linear" else -np.log(maps)
    widths = {name: getattr(crf, name) / factor for name in ("smooth_sxy", "bilateral_sxy")}
    marginals = dense_crf(_shrunk(image_HW3, factor), energy, crf.model_copy(update=widths))
    return resize(marginals, height_px=height, width_px=width)


def _blurred(mask_HW: Mask, sigma_px: float, *, shrink: int = 1) -> Float:
    """Clip a binary map to [0.001, 0.999], shrink it, and blur it by `sigma_px` of the image."""
    clipped = np.clip(mask_HW.astype(np.float32), 1e-3, 1 - 1e-3)
    return cv2.GaussianBlur(_shrunk(clipped, shrink), (0, 0), sigma_px / shrink)


def _shrunk(pixels: Any, factor: int) -> Any:
    """Shrink an image or a map to 1 / `factor` of its sides, rounded up, by averages."""
    height, width = pixels.shape[:2]
    size = (-(-width // factor), -(-height // factor))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)  # a copy if the factor is 1
