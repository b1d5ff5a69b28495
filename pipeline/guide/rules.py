"""The guide rules: seeds tell the class of an object, and saliency tells its extent.

Shapes: H, W image size in px, R saliency components, K tags of one image. Labels: 0 background,
class indices from 1, CONTESTED where two or more classes claim a saliency component.
Source: Oh et al., CVPR 2017. G2 follows the released code, except for its slip that zeroes the
first two rows of the background mask, and for what docs/paper.md lists. G0 and G1 are recalled: two
readers remember them the same way, but we could check neither that part of the paper nor code of
it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import cv2
import numpy as np

from pipeline.core.arrays import CONTESTED, VOID, Float, Int, Mask, UInt8
from pipeline.core.errors import COMMAND, UserError
from pipeline.guide.config import Fuse

NO_CHANGES = np.zeros((0, 0), np.float32)  # for all rules but G1


@dataclass(frozen=True)
class Fused:
    """What a guide rule makes: the seeds (H, W) that reach the area limit, and labels (H, W)."""

    seeds_HW: UInt8
    label_HW: UInt8


def components(mask_HW: Mask, *, min_area_px: int = 0) -> Int:
    """Number the 8-connected components of at least `min_area_px` from 1; 0 elsewhere."""
    _, ids, stats, _ = cv2.connectedComponentsWithStats(mask_HW.astype(np.uint8), connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= min_area_px
    keep[0] = False
    number = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
    return number[ids]


def saliency_components(salient_HW: Mask, *, min_fraction: float) -> Int:
    """Number, from 1, the saliency components that cover at least this share of the image."""
    limit_px = Decimal(str(min_fraction)) * salient_HW.size  # exact: in floats, 0.07 * 100 > 7
    return components(salient_HW, min_area_px=math.ceil(limit_px))


def seed_components(seed_HW: UInt8, *, min_area_px: int) -> Int:
    """Find the components of each class separately, and number them over all classes from 1."""
    out = np.zeros(seed_HW.shape, np.int32)
    for c in np.unique(seed_HW[seed_HW > 0]):
        ids = components(seed_HW == c, min_area_px=min_area_px)
        out = np.where(ids > 0, ids + out.max(), out)
    return out


@dataclass(frozen=True)
class Parts:
    """The input of a rule: seeds, and the numbered components of seeds and of saliency (H, W).

    `changes_RK` are score changes of the tags, one row for each saliency component. They are given
    for G1 only, which uses no seeds.
    """

    seeds_HW: UInt8
    seed_ids_HW: Int
    region_ids_HW: Int
    tags: Sequence[int]
    rng: np.random.Generator
    changes_RK: Float


def g2(parts: Parts) -> UInt8:
    """Give each saliency component the class of the seeds that overlap it.

    A component with seeds of two or more classes becomes CONTESTED. One without seeds becomes
    background. A seed component that overlaps no saliency component keeps its class. A seed
    component that overlaps one loses its pixels outside saliency.
    """
    counts = _votes(parts)
    winner = np.where((counts > 0).sum(1) > 1, CONTESTED, counts.argmax(1)).astype(np.uint8)
    overlapping = np.unique(parts.seed_ids_HW[parts.region_ids_HW > 0])
    alone = (parts.seed_ids_HW > 0) & ~np.isin(parts.seed_ids_HW, overlapping)
    return np.where(alone, parts.seeds_HW, _paint(parts, winner))


def g0(parts: Parts) -> UInt8:
    """Give all saliency components the same random tag of the image, whatever the seeds are.

    Source: G0 of Oh et al., CVPR 2017, as recalled.
    """
    count = int(parts.region_ids_HW.max(initial=0))
    return _paint(parts, np.array([0, *[_draw(parts)] * count]))


def g1(parts: Parts) -> UInt8:
    """Give each saliency component the tag whose score rises most if only the component is kept.

    The rest of the image is zeroed for this. If no score rises, the component is background. Of
    equal rises, the first tag wins.

    Source: G1 of Oh et al., CVPR 2017, as recalled.

    Raises:
        UserError: the score changes cover a different number of components than the saliency map.
    """
    changes, count = parts.changes_RK, int(parts.region_ids_HW.max(initial=0))
    if len(changes) != count:
        raise UserError(
            f"data/component_scores has {len(changes)} components of an image whose saliency map "
            f"has {count}; run `{COMMAND} run component_scores` first"
        )
    with_background = np.hstack([np.zeros((count, 1)), changes])
    winner = np.array([0, *parts.tags])[with_background.argmax(1)]
    return _paint(parts, np.array([0, *winner]))


def component_random(parts: Parts) -> UInt8:
    """Give each saliency component one of the image's tags at random, whatever the seeds are."""
    drawn = [_draw(parts) for _ in range(int(parts.region_ids_HW.max(initial=0)))]
    return _paint(parts, np.array([0, *drawn]))


def seed_majority(parts: Parts) -> UInt8:
    """Give each saliency component the class with the most seed pixels in it, or background."""
    return _paint(parts, _votes(parts).argmax(1))


def seeds_only(parts: Parts) -> UInt8:
    """Label the seeds, and background elsewhere, whatever the saliency is."""
    return parts.seeds_HW


def _draw(parts: Parts) -> int:
    """Draw one of the image's tags; 0 if it has none."""
    return int(parts.rng.choice(list(parts.tags))) if parts.tags else 0


def _votes(parts: Parts) -> Int:
    """Count the seed pixels of each class in each saliency component.

    Returns:
        Counts (1 + components, 256), with zeros in row 0 (outside) and column 0 (no seed).
    """
    regions = int(parts.region_ids_HW.max(initial=0)) + 1
    flat = parts.region_ids_HW.ravel().astype(np.int64) * 256 + parts.seeds_HW.ravel()
    counts = np.bincount(flat, minlength=regions * 256).reshape(regions, 256)
    counts[0], counts[:, 0] = 0, 0
    return counts


def _paint(parts: Parts, class_of_region: Int | UInt8) -> UInt8:
    """Label each saliency component; entry 0 of `class_of_region` is the label outside."""
    return class_of_region.astype(np.uint8)[parts.region_ids_HW]


RULES: dict[str, Callable[[Parts], UInt8]] = {
    "g0": g0,
    "g1": g1,
    "component_random": component_random,
    "seed_majority": seed_majority,
    "g2": g2,
    "seeds_only": seeds_only,
}


def fuse(
    seed_HW: UInt8,
    salient_HW: Mask,
    options: Fuse,
    *,
    tags: Sequence[int],
    rng: np.random.Generator,
    changes_RK: Float = NO_CHANGES,
) -> Fused:
    """Apply a guide rule, without the CRF for contested components.

    Args:
        seed_HW: seed labels; 0 means no seed.
        salient_HW: foreground mask of the saliency map.
        options: the rule, and the area limits. Components below a limit are dropped.
        tags: the image's tags as class indices, for G1 and for rules that draw one.
        rng: the random generator of rules that draw a tag.
        changes_RK: for G1, the changes of the tags' scores in each saliency component.

    Returns:
        Seeds, and labels: 0, a class, CONTESTED, or VOID if `options.unlabelled` is 'ignore'.
    """
    seed_ids = seed_components(seed_HW, min_area_px=options.min_seed_area_px)
    seeds = np.where(seed_ids > 0, seed_HW, 0).astype(np.uint8)
    regions = saliency_components(salient_HW, min_fraction=options.min_saliency_fraction)
    parts = Parts(seeds, seed_ids, regions, tags, rng, changes_RK)
    label = RULES[options.rule](parts).astype(np.uint8)
    if options.unlabelled == "ignore":
        label[(label == 0) & ((seed_HW > 0) | salient_HW)] = VOID
    return Fused(seeds, label)
