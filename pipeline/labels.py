"""Labels out of class maps and a saliency map: fused labels, SEC's cues, a later round's saliency.

Shapes: K tags of one image, H, W image size in px, h, w map size.
"""

import zlib

import cv2
import numpy as np

from pipeline import cam, guide
from pipeline.arrays import VOID, Float, Mask, UInt8
from pipeline.config import Fuse


def fused(
    maps_Khw: Float, classes_K: UInt8, saliency_HW: Float, how: Fuse, *, chance: tuple[int, str]
) -> guide.Fused:
    """The guide rule up to the CRF, with the thresholds and area limits of section `fuse`.

    Args:
        maps_Khw: class maps of the image's tags.
        classes_K: their class indices, from 1.
        saliency_HW: saliency in [0, 1] at image size.
        how: section `fuse`.
        chance: random seed and image id, from which rules that draw a tag draw.
    """
    height, width = saliency_HW.shape
    seeds = cam.seed_labels(
        maps_Khw, classes_K, threshold=how.seed_threshold, height_px=height, width_px=width
    )
    rng = np.random.default_rng([chance[0], zlib.crc32(chance[1].encode())])
    salient = saliency_HW >= how.saliency_threshold
    return guide.fuse(seeds, salient, how, tags=classes_K.tolist(), rng=rng)


def next_saliency(foreground_hw: Float, saliency_HW: Float) -> Float:
    """Mean (H, W) of a segmenter's foreground probability and the saliency map, maximum 1.

    Source: the recursion of Khoreva et al., Simple Does It, CVPR 2017, with tags for boxes.
    Departures: the segmenter does not make the next labels but takes part as saliency, since
    seeds and guide rule keep classes to the image's tags as boxes do there.
    """
    size = saliency_HW.shape[::-1]
    foreground = cv2.resize(foreground_hw, size, interpolation=cv2.INTER_LINEAR)
    return cam.normalise((foreground + saliency_HW)[None] / 2)[0]


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
    maps = cam.upsample(cam.normalise(maps_Khw), height_px=height_px, width_px=width_px)
    value, label = cam.strongest(maps, classes_K)
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
