"""Guide labels: seeds say what, saliency says how far.

Shapes: H, W image size in px, K classes. Labels: 0 background, 1..K classes, CONTESTED where two
or more classes claim a saliency component.
Source: Oh et al., CVPR 2017, section 3.3: G0, G1 and G2, the last as released. We do not copy the
release's slip that zeroes the first two rows of the background mask.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.core.arrays import CONTESTED, VOID, Int, Mask, UInt8
from pipeline.guide.config import Fuse


@dataclass(frozen=True)
class Fused:
    """Seeds above the area limit (H, W), and labels (H, W) that the rule settles or contests."""

    seeds_HW: UInt8
    label_HW: UInt8


def components(mask_HW: Mask, *, min_area_px: float = 0) -> Int:
    """Number the 8-connected components of at least `min_area_px` from 1; 0 elsewhere."""
    _, ids, stats, _ = cv2.connectedComponentsWithStats(mask_HW.astype(np.uint8), connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= min_area_px
    keep[0] = False
    number = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
    return number[ids]


def seed_components(seed_HW: UInt8, *, min_area_px: int) -> Int:
    """Components of each class for itself, numbered over all classes."""
    out = np.zeros(seed_HW.shape, np.int32)
    for c in np.unique(seed_HW[seed_HW > 0]):
        ids = components(seed_HW == c, min_area_px=min_area_px)
        out = np.where(ids > 0, ids + out.max(), out)
    return out


@dataclass(frozen=True)
class Parts:
    """What a rule decides on: seeds and numbered components (H, W) of seeds and of saliency."""

    seeds_HW: UInt8
    seed_ids_HW: Int
    region_ids_HW: Int
    tags: Sequence[int]
    rng: np.random.Generator


def g2(parts: Parts) -> UInt8:
    """A saliency component takes the class of the seeds that touch it; two or more contest it.

    With none it is background. A seed component that touches no saliency keeps its class; one
    that touches loses what lies outside.
    """
    counts = _votes(parts)
    winner = np.where((counts > 0).sum(1) > 1, CONTESTED, counts.argmax(1)).astype(np.uint8)
    touching = np.unique(parts.seed_ids_HW[parts.region_ids_HW > 0])
    alone = (parts.seed_ids_HW > 0) & ~np.isin(parts.seed_ids_HW, touching)
    return np.where(alone, parts.seeds_HW, _paint(parts, winner))


def g1(parts: Parts) -> UInt8:
    """A saliency component takes the class with most seed pixels in it; none: background."""
    return _paint(parts, _votes(parts).argmax(1))


def g0(parts: Parts) -> UInt8:
    """Each saliency component takes one of the image's tags at random; seeds have no say."""
    drawn = [_draw(parts) for _ in range(int(parts.region_ids_HW.max(initial=0)))]
    return _paint(parts, np.array([0, *drawn]))


def saliency_only(parts: Parts) -> UInt8:
    """All that is salient takes one of the image's tags at random; seeds have no say."""
    count = int(parts.region_ids_HW.max(initial=0))
    return _paint(parts, np.array([0, *[_draw(parts)] * count]))


def seeds_only(parts: Parts) -> UInt8:
    """The seeds, and background elsewhere; saliency has no say."""
    return parts.seeds_HW


def _draw(parts: Parts) -> int:
    return int(parts.rng.choice(list(parts.tags))) if parts.tags else 0


def _votes(parts: Parts) -> Int:
    """Seed pixels of each class in each region: (1 + regions, 256); row 0 and column 0 are 0."""
    regions = int(parts.region_ids_HW.max(initial=0)) + 1
    flat = parts.region_ids_HW.ravel().astype(np.int64) * 256 + parts.seeds_HW.ravel()
    counts = np.bincount(flat, minlength=regions * 256).reshape(regions, 256)
    counts[0], counts[:, 0] = 0, 0
    return counts


def _paint(parts: Parts, class_of_region: Int | UInt8) -> UInt8:
    return class_of_region.astype(np.uint8)[parts.region_ids_HW]


RULES: dict[str, Callable[[Parts], UInt8]] = {
    "g0": g0,
    "g1": g1,
    "g2": g2,
    "seeds_only": seeds_only,
    "saliency_only": saliency_only,
}


def fuse(
    seed_HW: UInt8, salient_HW: Mask, how: Fuse, *, tags: Sequence[int], rng: np.random.Generator
) -> Fused:
    """A guide rule up to the CRF.

    Args:
        seed_HW: seed labels, 0 where none.
        salient_HW: foreground of the saliency map.
        how: the rule, and the area limits below which components are dropped.
        tags: the image's tags as class indices, for rules that draw one.
        rng: the source of chance for these rules.

    Returns:
        Seeds, and labels: 0, a class, CONTESTED, or VOID where `how.unlabelled` is ignore.
    """
    seed_ids = seed_components(seed_HW, min_area_px=how.min_seed_area_px)
    seeds = np.where(seed_ids > 0, seed_HW, 0).astype(np.uint8)
    regions = components(salient_HW, min_area_px=how.min_saliency_fraction * salient_HW.size)
    label = RULES[how.rule](Parts(seeds, seed_ids, regions, tags, rng)).astype(np.uint8)
    if how.unlabelled == "ignore":
        label[(label == 0) & ((seed_HW > 0) | salient_HW)] = VOID
    return Fused(seeds, label)
