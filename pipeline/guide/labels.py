"""Fuse class maps and a saliency map; make the saliency of a later round.

Shapes: K tags of one image, R saliency components, H, W image size in px, h, w map size.
"""

import zlib

import numpy as np

from pipeline.core.arrays import Float, UInt8
from pipeline.core.maps import normalise, resize
from pipeline.guide import graph_cut, rules, seed_rule
from pipeline.guide.config import Fuse


def fused(
    maps_Khw: Float,
    classes_K: UInt8,
    saliency_HW: Float,
    fuse: Fuse,
    *,
    chance: tuple[int, str],
    image_HW3: UInt8 | None = None,
) -> rules.Fused:
    """Apply the seed rule and the guide rule, without the CRF for contested components.

    Args:
        maps_Khw: class maps of the image's tags.
        classes_K: their class indices, from 1.
        saliency_HW: saliency in [0, 1] at image size.
        fuse: the guide rule, the seed rule, their thresholds and area limits.
        chance: random seed and image id. They seed the generator of rules that draw a tag.
        image_HW3: RGB image. Only seed rule `graph_cut` needs it.

    Returns:
        Seeds and fused labels at image size.
    """
    height, width = saliency_HW.shape
    if fuse.seed_rule == "graph_cut":
        assert image_HW3 is not None
        seeds = graph_cut.seed_labels(maps_Khw, classes_K, image_HW3)
    else:
        seeds = seed_rule.seed_labels(
            maps_Khw, classes_K, threshold=fuse.seed_threshold, height_px=height, width_px=width
        )
    rng = np.random.default_rng([chance[0], zlib.crc32(chance[1].encode())])
    salient = saliency_HW >= fuse.saliency_threshold
    return rules.fuse(seeds, salient, fuse, tags=classes_K.tolist(), rng=rng)


def fused_by_scores(
    changes_RK: Float, classes_K: UInt8, saliency_HW: Float, fuse: Fuse
) -> rules.Fused:
    """Apply guide rule G1, which has no class maps.

    Args:
        changes_RK: the score changes of the image's tags in each saliency component.
        classes_K: the tags' class indices, from 1.
        saliency_HW: saliency in [0, 1] at image size.
        fuse: the saliency threshold and the area limit.

    Returns:
        Seeds that are 0 everywhere, and labels at image size.
    """
    salient = saliency_HW >= fuse.saliency_threshold
    return rules.fuse(
        np.zeros(salient.shape, np.uint8),
        salient,
        fuse,
        tags=classes_K.tolist(),
        rng=np.random.default_rng(0),  # G1 draws nothing
        changes_RK=changes_RK,
    )


def next_saliency(foreground_hw: Float, saliency_HW: Float) -> Float:
    """Average a segmenter's foreground probability and the saliency map; scale the maximum to 1.

    Source: the recursion of Khoreva et al., Simple Does It, CVPR 2017, with tags in place of boxes.
    Departure: the segmenter's output is not the next round's label, but a part of its saliency.
    The seeds and the guide rule keep the classes to the image's tags, as boxes do in the paper.

    Returns:
        Saliency (H, W) in [0, 1].
    """
    height, width = saliency_HW.shape
    foreground = resize(foreground_hw, height_px=height, width_px=width)
    return normalise((foreground + saliency_HW) / 2)
