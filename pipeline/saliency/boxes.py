"""Turn boxes into masks, and check a predicted mask against its boxes.

Shapes: H, W image size in px; boxes are [x, y, width, height] in px.
Labels: 0 background, 1 object, 255 void. Source: Rother et al. 2004 (GrabCut); Khoreva et al.,
"Simple Does It", CVPR 2017, section 3.1.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pipeline.core import formats
from pipeline.core.arrays import VOID, Mask, UInt8
from pipeline.core.errors import UserError

Box = tuple[int, int, int, int]

SAME_CLASS = {  # COCO's name of a class -> VOC's name
    "airplane": "aeroplane",
    "motorcycle": "motorbike",
    "couch": "sofa",
    "tv": "tvmonitor",
    "dining table": "diningtable",
    "potted plant": "pottedplant",
}
MIN_OUTSIDE_PX = 16  # with fewer px outside the boxes, GrabCut has no background to learn from


@dataclass(frozen=True)
class Boxed:
    """An image with the boxes of its objects."""

    image: Path
    boxes: tuple[Box, ...]


def read_boxes(root: Path, *, target_classes: Sequence[str]) -> tuple[list[Boxed], int]:
    """Read ROOT/boxes.json, in COCO format, for the images in ROOT/images.

    Images that show a target class are left out: this is the paper's non-Pascal rule. Images
    without a box are left out, too.

    Returns:
        The images, and how many of them were left out because of a target class.

    Raises:
        UserError: the file is missing or incomplete, or all images are left out.
    """
    path = root / "boxes.json"
    coco = formats.read_json(path)
    try:
        names = {c["id"]: SAME_CLASS.get(c["name"], c["name"]) for c in coco["categories"]}
        boxes: dict[int, list[Box]] = {i["id"]: [] for i in coco["images"]}
        listed, targets = {SAME_CLASS.get(c, c) for c in target_classes}, set()
        for a in coco["annotations"]:
            if names[a["category_id"]] in listed:
                targets.add(a["image_id"])
            boxes[a["image_id"]].append(_whole(a["bbox"]))
        files = {i["id"]: root / "images" / i["file_name"] for i in coco["images"]}
    except (KeyError, TypeError, ValueError, json.JSONDecodeError) as e:
        raise UserError(
            f"{path}: not in COCO format (at {e}); it needs images, categories, and "
            "annotations with bbox [x, y, width, height]"
        ) from e
    kept = [Boxed(files[i], tuple(b)) for i, b in boxes.items() if b and i not in targets]
    if not kept:
        raise UserError(
            f"{path}: no image is left to train the saliency network on; "
            "add images with boxes and without target classes"
        )
    return kept, len(targets)


def _whole(bbox: Sequence[float]) -> Box:
    """Round a box to whole pixels, with sides of at least 1 px."""
    x, y, w, h = bbox
    return round(x), round(y), max(1, round(w)), max(1, round(h))


def grabcut(image_HW3: UInt8, boxes: Sequence[Box], *, iterations: int) -> Mask:
    """Segment an image by GrabCut, with everything outside the boxes as background.

    GrabCut runs once for all boxes of an image. Simple Does It runs it once for each box, so a
    second object that looks the same would be taught as background.

    Returns:
        The object mask (H, W). If the boxes cover almost the whole image, it is their union.
    """
    mask = np.full(image_HW3.shape[:2], cv2.GC_BGD, np.uint8)
    for box in boxes:
        mask[_inside(mask.shape, box)] = cv2.GC_PR_FGD
    if (mask == cv2.GC_BGD).sum() < MIN_OUTSIDE_PX:
        return mask == cv2.GC_PR_FGD
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    bgr = np.ascontiguousarray(image_HW3[..., ::-1])
    cv2.grabCut(bgr, mask, None, *models, iterations, cv2.GC_INIT_WITH_MASK)
    return np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD))


def masks_from_boxes(
    image_HW3: UInt8, boxes: Sequence[Box], *, iterations: int, min_fill: float, fallback: str
) -> UInt8:
    """Label an image by GrabCut inside its boxes.

    A mask that fills less than `min_fill` of a box is not used there. Then `fallback` decides:
    'box' labels the whole box as object, as in Simple Does It, and 'ignore' makes it void.

    Returns:
        Label (H, W): 0, 1 or void.
    """
    label = np.zeros(image_HW3.shape[:2], np.uint8)
    mask = grabcut(image_HW3, boxes, iterations=iterations)
    for box in boxes:
        inside = _inside(label.shape, box)
        if mask[inside].mean() >= min_fill:
            label[mask & inside] = 1
        else:
            label[inside & (label == 0)] = 1 if fallback == "box" else VOID
    return label


def _inside(shape: tuple[int, ...], box: Box) -> Mask:
    """The mask of a box; a box outside the image gets the nearest pixel of the image."""
    x, y, w, h = box
    x, y = min(x, shape[1] - 1), min(y, shape[0] - 1)
    w, h = max(w + min(x, 0), 1), max(h + min(y, 0), 1)
    x, y = max(x, 0), max(y, 0)
    inside = np.zeros(shape, bool)
    inside[y : y + h, x : x + w] = True
    return inside


def denoise(
    predicted_HW: Mask, previous_HW: UInt8, boxes: Sequence[Box], *, min_fill: float
) -> UInt8:
    """Label the predicted object inside each box, and background outside the boxes.

    A box keeps its previous label if the prediction fills less than `min_fill` of it.

    Source: Simple Does It, section 3.1, rules 1 and 2.
    """
    label = np.zeros_like(previous_HW)
    for box in boxes:
        inside = _inside(label.shape, box)
        if predicted_HW[inside].mean() >= min_fill:
            label[inside & predicted_HW] = 1
        else:
            label[inside & (label == 0)] = previous_HW[inside & (label == 0)]
    return label


def scaled(box: Box, factor: float) -> Box:
    """Scale a box to an image that was resized by `factor`."""
    x, y, w, h = (round(v * factor) for v in box)
    return x, y, max(1, w), max(1, h)
