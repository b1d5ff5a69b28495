"""Where class maps point: the maps' boxes and highest points, against the truth's boxes.

Shapes: H, W image size in px, B boxes, N images, K classes. A box is (left, top, right, bottom) in
px; right and bottom are exclusive.

Our data sources have masks but no drawn boxes. So the truth's boxes are those of the masks'
connected components. Touching objects of one class share a box; an object that another one cuts in
two has two boxes. Papers use drawn boxes, so their numbers are near ours but not equal.

Maps exist for an image's tags only. That is enough: for any other class, every answer is wrong.
"""

import cv2
import numpy as np

from pipeline.core.arrays import Float, Int, Mask, UInt8
from pipeline.scores.shared import metrics

BOX_SHARE = 0.2  # a pixel belongs to the object from this share of the map's maximum on (CAM)
MIN_IOU = 0.5
TOLERANCE_PX = 18  # around a box (Oquab et al.)


def components(mask_HW: Mask) -> tuple[Int, Int]:
    """Return the boxes (B, 4) and areas (B,) in px of a mask's 8-connected components."""
    stats_B5 = cv2.connectedComponentsWithStats(mask_HW.astype(np.uint8), connectivity=8)[2][1:]
    left, top, width, height, area_px = stats_B5.T.astype(np.int64)
    return np.column_stack([left, top, left + width, top + height]), area_px


def box(map_HW: Float) -> Int:
    """Return the box (4,) of the largest component of a map's high pixels.

    Source: Zhou et al., CVPR 2016, section 3.2.
    """
    boxes_B4, area_px = components(map_HW >= BOX_SHARE * map_HW.max())
    return boxes_B4[area_px.argmax()]


def overlap(box_4: Int, boxes_B4: Int) -> Float:
    """Return the IoU (B,) of one box with each of several."""
    inner = np.minimum(box_4[2:], boxes_B4[:, 2:]) - np.maximum(box_4[:2], boxes_B4[:, :2])
    shared = np.maximum(inner, 0).prod(axis=1)
    whole = (box_4[2:] - box_4[:2]).prod() + (boxes_B4[:, 2:] - boxes_B4[:, :2]).prod(axis=1)
    return shared / (whole - shared)


def box_right(map_HW: Float, boxes_B4: Int) -> bool:
    """Whether the map's box has IoU 0.5 or more with a true box; a map of zeros has no box."""
    return bool(map_HW.max() > 0 and (overlap(box(map_HW), boxes_B4) >= MIN_IOU).any())


def point_right(map_HW: Float, boxes_B4: Int, *, tolerance_px: int = TOLERANCE_PX) -> bool:
    """Whether the map's highest point lies in or near a true box; of equals, the first counts.

    A map of zeros points nowhere.
    """
    if map_HW.max() <= 0:
        return False
    top, left = np.unravel_index(map_HW.argmax(), map_HW.shape)
    point = np.array([left, top])
    inside = (point >= boxes_B4[:, :2] - tolerance_px) & (point < boxes_B4[:, 2:] + tolerance_px)
    return bool(inside.all(axis=1).any())


def judge(maps_KHW: Float, tags_K: UInt8, truth_HW: UInt8, *, classes: int) -> Mask:
    """Judge one image's answers by class: (4, K) of box right, point right, present, ignored.

    Args:
        maps_KHW: Maps of the image's tags, at image size, without negative values.
        tags_K: The tags' class indices, from 1.
        truth_HW: The truth. A class is present if it has a pixel here.
        classes: The number of all classes, tagged or not.
    """
    out = np.zeros((4, 1 + classes), bool)
    out[2] = np.bincount(truth_HW.ravel(), minlength=256)[: 1 + classes] > 0
    for map_HW, tag in zip(maps_KHW, tags_K, strict=True):
        if out[2, tag]:
            boxes_B4 = components(truth_HW == tag)[0]
            out[:2, tag] = box_right(map_HW, boxes_B4), point_right(map_HW, boxes_B4)
        else:
            out[3, tag] = True  # tagged, but void in the mask: VOC's difficult objects
    return out[:, 1:]


def error(score_NK: Float, right_NK: Mask, *, best: int) -> float:
    """Return the share of images where none of the `best` highest-scored classes has a right box.

    If there are fewer classes than `best`, all of them count. ILSVRC's images have one class each.
    Ours may have several; then one right box is enough.

    Args:
        score_NK: The classifier's scores.
        right_NK: Whether the class is in the image and its map's box is right.
        best: 1 or 5.

    Returns:
        A share in [0, 1]; nan without images.

    Source: ILSVRC's localisation task, as in Zhou et al., CVPR 2016.
    """
    if len(score_NK) == 0:
        return float("nan")
    order = np.argsort(-score_NK, axis=1, kind="stable")[:, :best]
    return float(1 - np.take_along_axis(right_NK, order, axis=1).any(axis=1).mean())


def pointwise_ap(score_NK: Float, right_NK: Mask, present_NK: Mask, ignored_NK: Mask) -> Float:
    """Return each class's average precision (K,), with one answer per image: the highest point.

    If the class is absent, the answer is wrong wherever it points. If the class is present and the
    point misses it, the answer is wrong and an object stays unfound.

    Args:
        score_NK: The classifier's scores: how confident each answer is.
        right_NK: Whether the point lies in or near a box of the class.
        present_NK: Whether the truth has a box of the class.
        ignored_NK: Answers that do not count: the image has the tag, but its mask shows only void.

    Source: Oquab et al., CVPR 2015, section 5; Durand et al. (WILDCAT), CVPR 2017.
    """
    counted_NK = ~ignored_NK
    return np.array(
        [
            metrics.average_precision(score[counted], right[counted], positives=present.sum())
            for score, right, present, counted in zip(
                score_NK.T, right_NK.T, present_NK.T, counted_NK.T, strict=True
            )
        ]
    )
