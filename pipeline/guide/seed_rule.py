"""The seed rule and SEC's cues: labels made only from class maps.

Shapes: K tags of one image, H, W image size in px, h, w map size.
Source: Oh et al., CVPR 2017; Zhou et al., CVPR 2016. The released code divides each map by its own
maximum, takes the argmax over the image's tags, and keeps values of 20 % and above.
"""

import cv2
import numpy as np

from pipeline.core.arrays import VOID, Float, Mask, UInt8
from pipeline.core.maps import normalise, resize, strongest


def seed_labels(
    maps_Khw: Float, classes_K: UInt8, *, threshold: float, height_px: int, width_px: int
) -> UInt8:
    """Apply the seed rule to the class maps of one image.

    Args:
        maps_Khw: class maps of the image's tags.
        classes_K: their class indices, from 1.
        threshold: share of a map's maximum from which a pixel is a seed, in [0, 1].
        height_px: image height.
        width_px: image width.

    Returns:
        Labels (H, W): the index of a tag, or 0 where there is no seed.
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
    """Make SEC's localisation cues: seeds, and background where the evidence for a tag is weakest.

    Source: Kolesnikov & Lampert, ECCV 2016, and the notebooks that they released. Departures: they
    take the cues from two networks, seeds above 20 % of a class map and as background the 10 % of
    positions with the lowest gradient of all scores at conv4_1. We take as background those where
    the strongest class map is lowest. Where two seeds overlap, the smaller object wins in their
    rule (recalled), and the stronger map in ours.

    Args:
        maps_Khw: class maps of the image's tags.
        classes_K: their class indices, from 1.
        seed_threshold: share of a map's maximum from which a pixel is a seed, in [0, 1].
        background_fraction: share of the image that is a cue for background, in [0, 1]. Seed pixels
            stay seeds.
        height_px: image height.
        width_px: image width.

    Returns:
        Labels (H, W): the index of a tag, 0 for background, or VOID where there is no cue.
    """
    maps = resize(normalise(maps_Khw), height_px=height_px, width_px=width_px)
    value, label = strongest(maps, classes_K)
    seeds = (value >= seed_threshold) & (value > 0)
    background = _lowest(value, background_fraction) & ~seeds
    return np.where(seeds, label, np.where(background, 0, VOID)).astype(np.uint8)


def _lowest(value_HW: Float, fraction: float) -> Mask:
    """Choose a `fraction` of the pixels, lowest values first.

    Among zeros, the pixels farthest from any other value come first.
    """
    zero = (value_HW <= 0).astype(np.uint8)
    distance = cv2.distanceTransform(zero, cv2.DIST_L2, cv2.DIST_MASK_5)
    order = np.lexsort((-distance.ravel(), value_HW.ravel()))
    chosen = np.zeros(value_HW.size, bool)
    chosen[order[: round(fraction * value_HW.size)]] = True
    return chosen.reshape(value_HW.shape)
