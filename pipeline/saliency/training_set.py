"""The images and labels that a saliency network learns from.

Shapes: H, W image size in px; maps are in [0, 1]. Labels: 0 background, 1 object, 255 void.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from pipeline.core import formats
from pipeline.core.arrays import Float, UInt8
from pipeline.core.errors import UserError
from pipeline.core.formats import SUFFIXES
from pipeline.core.maps import resize
from pipeline.crf.config import Crf
from pipeline.crf.dense import dense_crf, energy_of
from pipeline.saliency import boxes
from pipeline.saliency.config import BoxMasks, SaliencyNet

MASK_LAYOUTS = (  # our own, ECSSD, DUTS, MSRA10K
    ("images", "masks"),
    ("images", "ground_truth_mask"),
    ("DUTS-TR-Image", "DUTS-TR-Mask"),
    ("Imgs", "Imgs"),
)


def read_training_set(
    options: SaliencyNet, *, target_classes: Sequence[str]
) -> tuple[list[boxes.Boxed], int]:
    """The images of `options.root`, and how many were left out for holding target classes.

    Masks name no class: there, the ids to leave out stand in ROOT/exclude.txt, one a line.
    """
    if options.train_set == "boxes":
        return boxes.read_boxes(options.root, target_classes=target_classes)
    folder, masks = mask_layout(options.root)
    photos = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in SUFFIXES]
    if folder == masks:  # MSRA10K: NAME.jpg beside NAME.png
        photos = [p for p in photos if p.suffix.lower() != ".png"]
    images = {p.stem: p for p in photos}
    exclude = options.root / "exclude.txt"
    left_out = set(exclude.read_text().split()) if exclude.exists() else set()
    kept = [boxes.Boxed(p, ()) for key, p in images.items() if key not in left_out]
    if not kept:
        raise UserError(f"{folder}: holds no image to learn saliency from")
    return kept, len(images) - len(kept)


def mask_layout(root: Path) -> tuple[Path, Path]:
    """The image folder and the mask folder (NAME.png) of a mask set.

    Raises:
        UserError: none of the known pairs of folders is there.
    """
    for images, masks in MASK_LAYOUTS:
        if (root / images).is_dir() and (root / masks).is_dir():
            return root / images, root / masks
    pairs = ", ".join(f"{a}/ and {b}/" for a, b in MASK_LAYOUTS)
    raise UserError(f"{root}: holds none of these pairs of folders: {pairs}")


def first_label(boxed: boxes.Boxed, options: SaliencyNet) -> UInt8:
    """What a round starts from: GrabCut in the boxes, or the given mask; 0, 1 or void."""
    if options.train_set == "masks":
        return (
            formats.read_label(mask_layout(options.root)[1] / f"{boxed.image.stem}.png") >= 128
        ).astype(np.uint8)
    image, factor = small(formats.read_image(boxed.image), long_px=options.train.size_px)
    rule: BoxMasks = options.box_masks
    return boxes.masks_from_boxes(
        image,
        [boxes.scaled(b, factor) for b in boxed.boxes],
        iterations=rule.iterations,
        min_fill=rule.min_fill,
        fallback=rule.fallback,
    )


def next_label(
    boxed: boxes.Boxed, before_HW: UInt8, probability_hw: Float, options: SaliencyNet, crf: Crf
) -> UInt8:
    """A denoising round: the net's foreground after a CRF, checked against the boxes."""
    image, factor = small(formats.read_image(boxed.image), long_px=options.train.size_px)
    fg = resize(probability_hw, height_px=image.shape[0], width_px=image.shape[1])
    marginals = dense_crf(image, energy_of(np.stack([1 - fg, fg])), crf)
    small_boxes = [boxes.scaled(b, factor) for b in boxed.boxes]
    return boxes.denoise(
        marginals[1] > 0.5, before_HW, small_boxes, min_fill=options.box_masks.min_fill
    )


def small(image_HW3: UInt8, *, long_px: int) -> tuple[UInt8, float]:
    """The image shrunk to a long side of at most `long_px`, and the factor."""
    factor = min(1.0, long_px / max(image_HW3.shape[:2]))
    height, width = (max(1, round(side * factor)) for side in image_HW3.shape[:2])
    return cv2.resize(image_HW3, (width, height), interpolation=cv2.INTER_AREA), factor
