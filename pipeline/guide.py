"""Guide labels: seeds say what, saliency says how far (rule G2).

Shapes: H, W image size in px, K classes. Labels: 0 background, 1..K classes, CONTESTED where two
or more classes claim a saliency component.
Source: Oh et al., CVPR 2017, section 3.3, and the authors' released rule. We do not copy its
slip that zeroes the first two rows of the background mask.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.arrays import CONTESTED, Float, Int, Mask, UInt8
from pipeline.config import Diffuse
from pipeline.crf import dense_crf


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


def fuse(
    seed_HW: UInt8, salient_HW: Mask, *, min_seed_area_px: int, min_saliency_fraction: float
) -> Fused:
    """Rule G2 up to the CRF.

    A saliency component takes the class of the seeds that touch it; with none it is background,
    with two or more it is contested. A seed component that touches no saliency keeps its class;
    one that touches loses what lies outside.

    Args:
        seed_HW: seed labels, 0 where none.
        salient_HW: foreground of the saliency map.
        min_seed_area_px: smaller seed components are dropped.
        min_saliency_fraction: smaller saliency components, as a share of the image, are dropped.
    """
    seed_ids = seed_components(seed_HW, min_area_px=min_seed_area_px)
    seeds = np.where(seed_ids > 0, seed_HW, 0).astype(np.uint8)
    region_ids = components(salient_HW, min_area_px=min_saliency_fraction * salient_HW.size)
    claims = np.zeros((region_ids.max() + 1, 256), bool)  # region x class
    claims[region_ids.ravel(), seeds.ravel()] = True
    claims[:, 0] = False
    settled = np.where(claims.sum(1) > 1, CONTESTED, claims.argmax(1)).astype(np.uint8)
    settled[0] = 0  # outside every region
    label = settled[region_ids]
    touching = np.unique(seed_ids[region_ids > 0])
    alone = (seed_ids > 0) & ~np.isin(seed_ids, touching)
    return Fused(seeds, np.where(alone, seeds, label).astype(np.uint8))


def diffuse(image_HW3: UInt8, fused: Fused, diffuse: Diffuse) -> UInt8:
    """Spread the seeds inside each contested component by a dense CRF over its classes.

    As released: per class the seeds' binary map, clipped, blurred, and its negative taken as
    energy (not -log); no background class; argmax inside the component.
    """
    label = fused.label_HW.copy()
    regions = components(label == CONTESTED)
    for number in range(1, int(regions.max()) + 1):
        inside = regions == number
        classes = np.unique(fused.seeds_HW[inside])
        classes = classes[classes > 0]
        energy = np.stack([-_blurred(fused.seeds_HW == c, diffuse.blur_sigma_px) for c in classes])
        winner = dense_crf(image_HW3, energy, diffuse.crf).argmax(axis=0)
        label[inside] = classes[winner[inside]]
    return label


def _blurred(mask_HW: Mask, sigma_px: float) -> Float:
    clipped = np.clip(mask_HW.astype(np.float32), 1e-3, 1 - 1e-3)
    return cv2.GaussianBlur(clipped, (0, 0), sigma_px)
