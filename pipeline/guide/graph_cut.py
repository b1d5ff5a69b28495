"""Seeds by colour models and a graph cut: the segmentation that Simonyan et al. make of gradients.

Shapes: K tags of one image, H, W image size in px, h, w map size.
Source: Simonyan, Vedaldi & Zisserman, 2014, section 3.2, recalled. The two quantiles are theirs.
The mask is the largest component of the cut's foreground. Departures: the colour models and
the cut are those of OpenCV's GrabCut, with five Gaussians each and without its iterations; and
where the masks of two tags overlap, the tag with the stronger map takes the pixel.
"""

import cv2
import numpy as np

from pipeline.core.arrays import Float, Mask, UInt8
from pipeline.core.maps import normalise, resize, strongest

FOREGROUND_QUANTILE = 0.95  # pixels from here on teach the foreground's colours
BACKGROUND_QUANTILE = 0.30  # pixels up to here teach the background's colours
GAUSSIANS = 5  # of a colour model of cv2.grabCut, which needs as many pixels


def seed_labels(maps_Khw: Float, classes_K: UInt8, image_HW3: UInt8) -> UInt8:
    """Segment each tag by the colours under its map's highest and lowest values.

    Args:
        maps_Khw: maps of the image's tags, meant for those of kind gradient.
        classes_K: their class indices, from 1.
        image_HW3: RGB image.

    Returns:
        Labels (H, W): the index of a tag, or 0 outside all masks.
    """
    height, width = image_HW3.shape[:2]
    maps = resize(normalise(maps_Khw), height_px=height, width_px=width)
    masks = np.array([segment(m, image_HW3) for m in maps], bool).reshape(maps.shape)
    _, label = strongest(np.where(masks, maps, -1), classes_K)
    return np.where(masks.any(axis=0), label, 0).astype(np.uint8)


def segment(map_HW: Float, image_HW3: UInt8) -> Mask:
    """Segment one object; the pixels that teach the colours keep their side of the cut.

    Returns:
        The object mask (H, W): one 8-connected component. It is empty if the map has no positive
        value. If too few pixels are low, all the others are object.
    """
    high, low = np.quantile(map_HW, (FOREGROUND_QUANTILE, BACKGROUND_QUANTILE))
    foreground = (map_HW >= high) & (map_HW > 0)
    background = (map_HW <= low) & ~foreground
    if min(foreground.sum(), background.sum()) < GAUSSIANS:
        return _largest(foreground)
    bgr = np.ascontiguousarray(image_HW3[..., ::-1])
    models = _colour_models(bgr[foreground], bgr[background])
    mask = np.full(map_HW.shape, cv2.GC_PR_BGD, np.uint8)
    mask[foreground], mask[background] = cv2.GC_FGD, cv2.GC_BGD
    cv2.grabCut(bgr, mask, None, *models, 1, cv2.GC_EVAL_FREEZE_MODEL)
    return _largest(np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)))


def _colour_models(foreground_N3: UInt8, background_M3: UInt8) -> tuple[Float, Float]:
    """Fit GrabCut's background and foreground models to these colours alone, in this order."""
    strip = np.concatenate([foreground_N3, background_M3])[None]
    mask = np.full(strip.shape[:2], cv2.GC_BGD, np.uint8)
    mask[:, : len(foreground_N3)] = cv2.GC_FGD
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # for the k-means that starts the models
    cv2.grabCut(strip, mask, None, *models, 0, cv2.GC_INIT_WITH_MASK)
    return models


def _largest(mask_HW: Mask) -> Mask:
    """Keep the largest 8-connected component; of equal ones, the first."""
    _, ids, stats, _ = cv2.connectedComponentsWithStats(mask_HW.astype(np.uint8), connectivity=8)
    areas_px = stats[1:, cv2.CC_STAT_AREA]
    return ids == 1 + areas_px.argmax() if len(areas_px) else mask_HW
