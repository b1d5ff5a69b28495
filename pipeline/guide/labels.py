"""Fuse class maps and a saliency map.

Shapes: K tags of one image, R saliency components, H, W image size in px, h, w map size.
"""

import zlib

import numpy as np

from pipeline.core.arrays import Float, UInt8
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
