"""The seed rule, and SEC's cues: labels made from class maps alone.

Shapes: K tags of one image, H, W image size in px, h, w map size.
Source: Oh et al., CVPR 2017 (released rule: divide each map by its own maximum, take the argmax
over the image's tags, keep 20 % and above); Zhou et al., CVPR 2016.
"""

import cv2
import numpy as np

from pipeline.core.arrays import VOID, Float, Mask, UInt8
from pipeline.core.maps import normalise, resize, strongest


def seed_labels(
    maps_Khw: Float, classes_K: UInt8, *, threshold: float, height_px: int, width_px: int
) -> UInt8:
    """The seed rule.

    Args:
        maps_Khw: class maps of the image's tags.
        classes_K: their class indices, from 1.
        threshold: share of a map's maximum from which a pixel is a seed, in [0, 1].
        height_px: image height.
        width_px: image width.

    Returns:
        Labels (H, W): a tag's index, or 0.
    """
    maps = resize(normalise(maps_Khw), height_px=height_px, width_px=width_px)
    value, label = strongest(maps, classes_K)
    return np.where((value >= threshold) & (value > 0), label, 0).astype(np.uint8)


def cues(
    maps_Khw: Float,
    classes_K: UInt8,
    *,
    seed_threshold: float,
    background_fraction: float,
    height_px: int,
    width_px: int,
) -> UInt8:
    """SEC's localisation cues as labels (H, W): seeds, background where least speaks for a tag.

    Source: Kolesnikov & Lampert, ECCV 2016, as recalled. Departures: their background is the 10 %
    of pixels with the lowest gradient saliency, ours those with the lowest strongest class map;
    where two seeds meet, the stronger map wins, not the smaller object.

    Args:
        maps_Khw: class maps of the image's tags.
        classes_K: their class indices, from 1.
        seed_threshold: share of a map's maximum from which a pixel is a seed, in [0, 1].
        background_fraction: share of the image that is a cue for background, in [0, 1]; a pixel
            that is a seed stays one.
        height_px: image height.
        width_px: image width.

    Returns:
        A tag's index, 0, or VOID where there is no cue.
    """
    maps = resize(normalise(maps_Khw), height_px=height_px, width_px=width_px)
    value, label = strongest(maps, classes_K)
    seeds = (value >= seed_threshold) & (value > 0)
    background = _lowest(value, background_fraction) & ~seeds
    return np.where(seeds, label, np.where(background, 0, VOID)).astype(np.uint8)


def _lowest(value_HW: Float, fraction: float) -> Mask:
    """The given share of pixels with the lowest values, of zeros those farthest from others."""
    zero = (value_HW <= 0).astype(np.uint8)
    away = cv2.distanceTransform(zero, cv2.DIST_L2, cv2.DIST_MASK_5)
    order = np.lexsort((-away.ravel(), value_HW.ravel()))
    chosen = np.zeros(value_HW.size, bool)
    chosen[order[: round(fraction * value_HW.size)]] = True
    return chosen.reshape(value_HW.shape)
