"""Read the images that a saliency network learns from, and make their labels.

Shapes: H, W image size in px; maps are in [0, 1]. Labels: 0 background, 1 object, 255 void.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from pipeline.boxes.annotations import check_inside
from pipeline.core import formats
from pipeline.core.arrays import Float, UInt8
from pipeline.core.errors import UserError
from pipeline.core.formats import SUFFIXES
from pipeline.core.maps import resize
from pipeline.core.tables import read_text
from pipeline.crf.config import Crf
from pipeline.crf.dense import dense_crf, energy_of
from pipeline.saliency import boxes
from pipeline.saliency.config import BoxMasks, SaliencyNet

MASK_LAYOUTS = (  # folders of images and masks: our own, ECSSD, DUTS, MSRA10K
    ("images", "masks"),
    ("images", "ground_truth_mask"),
    ("DUTS-TR-Image", "DUTS-TR-Mask"),
    ("Imgs", "Imgs"),
)


def read_training_set(
    options: SaliencyNet, *, target_classes: Sequence[str]
) -> tuple[list[boxes.Boxed], int]:
    """Read the images of `options.root`, without those that show a target class.

    A box may name its class; a mask does not, and neither does a box of MSRA. ROOT/exclude.txt
    lists the ids of images to leave out, one per line. Sets that do not name classes need it.

    Returns:
        The images, and how many of them were left out.

    Raises:
        UserError: the files are not as expected, exclude.txt is missing, or no image is left.
    """
    exclude = options.root / boxes.EXCLUDE
    if options.train_set == "boxes":
        images, left_out = boxes.read_boxes(options.root, target_classes=target_classes)
    else:
        images, left_out = _read_masked(options.root), 0
        boxes.require_exclude(options.root)
    lines = read_text(exclude).splitlines() if exclude.exists() else []
    excluded = {line.strip() for line in lines}
    kept = [boxed for boxed in images if boxed.image.stem not in excluded]
    if not kept:
        raise UserError(
            f"{options.root}: no image is left to train the saliency network on; "
            "add images or remove ids from exclude.txt"
        )
    return kept, left_out + len(images) - len(kept)


def _read_masked(root: Path) -> list[boxes.Boxed]:
    """List the images of a mask set."""
    folder, masks = mask_layout(root)
    photos = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in SUFFIXES]
    if folder == masks:  # MSRA10K has NAME.jpg and NAME.png in one folder
        photos = [p for p in photos if p.suffix.lower() != ".png"]
    return [boxes.Boxed(p, ()) for p in {p.stem: p for p in photos}.values()]


def mask_layout(root: Path) -> tuple[Path, Path]:
    """Find the image folder and the mask folder (NAME.png) of a mask set.

    Raises:
        UserError: `root` has none of the known pairs of folders.
    """
    for images, masks in MASK_LAYOUTS:
        if (root / images).is_dir() and (root / masks).is_dir():
            return root / images, root / masks
    pairs = ", ".join(f"{a}/ and {b}/" for a, b in MASK_LAYOUTS)
    raise UserError(
        f"{root}: has none of these pairs of folders: {pairs}; correct saliency.options.net.root"
    )


def first_label(boxed: boxes.Boxed, options: SaliencyNet) -> UInt8:
    """Make the label for the first training: by GrabCut in the boxes, or from the given mask.

    Returns:
        Label (H, W): 0, 1 or void.
    """
    if options.train_set == "masks":
        return (
            formats.read_label(mask_layout(options.root)[1] / f"{boxed.image.stem}.png") >= 128
        ).astype(np.uint8)
    image = formats.read_image(boxed.image)
    height, width = image.shape[:2]
    file = options.root / "boxes.json"
    check_inside(file, boxed.image.name, boxed.boxes, height_px=height, width_px=width)
    image, factor = small(image, long_px=options.train.size_px)
    box_masks: BoxMasks = options.box_masks
    return boxes.masks_from_boxes(
        image,
        [boxes.scaled(b, factor) for b in boxed.boxes],
        iterations=box_masks.iterations,
        min_fill=box_masks.min_fill,
        fallback=box_masks.fallback,
    )


def next_label(
    boxed: boxes.Boxed, first_HW: UInt8, probability_hw: Float, options: SaliencyNet, crf: Crf
) -> UInt8:
    """Make the label of the next denoising round from the network's foreground probability.

    A CRF refines the foreground, and `boxes.denoise` checks it against the boxes and the label of
    the first round.
    """
    image, factor = small(formats.read_image(boxed.image), long_px=options.train.size_px)
    foreground = resize(probability_hw, height_px=image.shape[0], width_px=image.shape[1])
    marginals = dense_crf(image, energy_of(np.stack([1 - foreground, foreground])), crf)
    small_boxes = [boxes.scaled(b, factor) for b in boxed.boxes]
    return boxes.denoise(
        marginals[1] > 0.5, first_HW, small_boxes, min_fill=options.box_masks.min_fill
    )


def small(image_HW3: UInt8, *, long_px: int) -> tuple[UInt8, float]:
    """Shrink an image to a long side of at most `long_px`; return it and the scale factor."""
    factor = min(1.0, long_px / max(image_HW3.shape[:2]))
    height, width = (max(1, round(side * factor)) for side in image_HW3.shape[:2])
    return cv2.resize(image_HW3, (width, height), interpolation=cv2.INTER_AREA), factor
