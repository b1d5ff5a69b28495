"""Labels out of class maps and a saliency map: fused labels, SEC's cues, a later round's saliency.

Shapes: K tags of one image, H, W image size in px, h, w map size.
"""

import zlib

import numpy as np

from pipeline.core.arrays import Float, UInt8
from pipeline.core.maps import normalise, resize
from pipeline.guide import rules, seed_rule
from pipeline.guide.config import Fuse


def fused(
    maps_Khw: Float, classes_K: UInt8, saliency_HW: Float, how: Fuse, *, chance: tuple[int, str]
) -> rules.Fused:
    """The guide rule up to the CRF, with the thresholds and area limits of section `fuse`.

    Args:
        maps_Khw: class maps of the image's tags.
        classes_K: their class indices, from 1.
        saliency_HW: saliency in [0, 1] at image size.
        how: section `fuse`.
        chance: random seed and image id, from which rules that draw a tag draw.
    """
    height, width = saliency_HW.shape
    seeds = seed_rule.seed_labels(
        maps_Khw, classes_K, threshold=how.seed_threshold, height_px=height, width_px=width
    )
    rng = np.random.default_rng([chance[0], zlib.crc32(chance[1].encode())])
    salient = saliency_HW >= how.saliency_threshold
    return rules.fuse(seeds, salient, how, tags=classes_K.tolist(), rng=rng)


def next_saliency(foreground_hw: Float, saliency_HW: Float) -> Float:
    """Mean (H, W) of a segmenter's foreground probability and the saliency map, maximum 1.

    Source: the recursion of Khoreva et al., Simple Does It, CVPR 2017, with tags for boxes.
    Departures: the segmenter does not make the next labels but takes part as saliency, since
    seeds and guide rule keep classes to the image's tags as boxes do there.
    """
    height, width = saliency_HW.shape
    foreground = resize(foreground_hw, height_px=height, width_px=width)
    return normalise((foreground + saliency_HW) / 2)
