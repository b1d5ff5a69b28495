"""Turn boxes into masks, and check a predicted mask against its boxes.

The saliency network learns from these masks. They say only where an object is, not its class.

Shapes: H, W image size in px; boxes are [x, y, width, height] in px.
Labels: 0 background, 1 object, 255 void.
Source: Khoreva et al., "Simple Does It", CVPR 2017, section 3, recalled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.boxes.annotations import read_coco, voc_name
from pipeline.boxes.grabcut import Box, grabcut, inside
from pipeline.core.arrays import VOID, Mask, UInt8
from pipeline.core.errors import MissingFileError, UserError

EXCLUDE = "exclude.txt"  # beside boxes.json: ids of further images to leave out


@dataclass(frozen=True)
class Boxed:
    """An image with the boxes of its objects."""

    image: Path
    boxes: tuple[Box, ...]


def read_boxes(root: Path, *, target_classes: Sequence[str]) -> tuple[list[Boxed], int]:
    """Read ROOT/boxes.json, in COCO format, for the images in ROOT/images.

    Images that show a target class are left out: this is the paper's non-Pascal rule. Images
    without a box are left out, too. If all boxes have one class, as MSRA's have, its name may say
    nothing about target classes, so EXCLUDE must list their images.

    Returns:
        The images, and how many of them were left out because of a target class.

    Raises:
        UserError: the file or EXCLUDE is missing, the file is incomplete, or no image is left.
    """
    path = root / "boxes.json"
    if not path.exists():
        raise MissingFileError(path, "add it, or correct saliency.options.net.root")
    listed = {voc_name(c) for c in target_classes}
    images = read_coco(path)
    targets = {name for name, objects in images if listed & {c for c, _ in objects}}
    kept = [
        Boxed(root / "images" / name, tuple(box for _, box in objects))
        for name, objects in images
        if objects and name not in targets
    ]
    if not kept:
        raise UserError(
            f"{path}: no image is left to train the saliency network on; "
            "add images with boxes and without target classes"
        )
    if len({c for _, objects in images for c, _ in objects}) == 1:
        require_exclude(root)
    return kept, len(targets)


def require_exclude(root: Path) -> None:
    """Check that ROOT/EXCLUDE exists: in this set, nothing else tells the target classes.

    Raises:
        UserError: it is missing.
    """
    if not (root / EXCLUDE).exists():
        raise UserError(
            f"{root / EXCLUDE}: not found, and this set does not tell classes apart; list the ids "
            "of images that show one of your classes, one per line, or make it empty if none does"
        )


def masks_from_boxes(
    image_HW3: UInt8, boxes: Sequence[Box], *, iterations: int, min_fill: float, fallback: str
) -> UInt8:
    """Label an image by GrabCut inside its boxes.

    A mask that fills less than `min_fill` of a box is not used there. Then `fallback` decides:
    'box' labels the whole box as object, and 'ignore' makes it void. The limit is ours.

    Returns:
        Label (H, W): 0, 1 or void.
    """
    label = np.zeros(image_HW3.shape[:2], np.uint8)
    mask = grabcut(image_HW3, boxes, iterations=iterations)
    for box in boxes:
        within = inside(label.shape, box)
        if mask[within].mean() >= min_fill:
            label[mask & within] = 1
        else:
            label[within & (label == 0)] = 1 if fallback == "box" else VOID
    return label


def denoise(predicted_HW: Mask, first_HW: UInt8, boxes: Sequence[Box], *, min_fill: float) -> UInt8:
    """Label the predicted object inside each box, and background outside the boxes.

    A box returns to its first label, which GrabCut made, if the prediction fills less than
    `min_fill` of it.

    Source: the stages "box enforcing" and "outliers reset" of Simple Does It. Departure: here the
    CRF comes first.
    """
    label = np.zeros_like(first_HW)
    for box in boxes:
        within = inside(label.shape, box)
        if predicted_HW[within].mean() >= min_fill:
            label[within & predicted_HW] = 1
        else:
            label[within & (label == 0)] = first_HW[within & (label == 0)]
    return label


def scaled(box: Box, factor: float) -> Box:
    """Scale a box to an image that was resized by `factor`."""
    x, y, w, h = (round(v * factor) for v in box)
    return x, y, max(1, w), max(1, h)
