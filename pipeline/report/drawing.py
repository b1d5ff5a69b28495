"""Pictures for people: labels and maps over photographs, and tiles side by side.

Shapes: H, W size in px. Pictures are RGB, uint8.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.core.arrays import CONTESTED, Float, UInt8
from pipeline.core.formats import PALETTE

TITLE_PX = 20  # height of a title above a tile
COLOURS = np.array(PALETTE, np.uint8).reshape(256, 3)


def overlay(image_HW3: UInt8, label_HW: UInt8, *, strength: float = 0.6) -> UInt8:
    """Colour the labelled pixels of an image.

    Background keeps its colour. Void and contested pixels turn pale.
    """
    tint = COLOURS[label_HW].astype(np.float32)
    tint[label_HW == CONTESTED] = (255, 255, 255)
    mixed = (1 - strength) * image_HW3 + strength * tint
    return np.where((label_HW > 0)[..., None], mixed, image_HW3).astype(np.uint8)


def heat(image_HW3: UInt8, map_HW: Float) -> UInt8:
    """Draw a map in [0, 1] as colours over the greyed image."""
    colour = cv2.applyColorMap((np.clip(map_HW, 0, 1) * 255).astype(np.uint8), cv2.COLORMAP_TURBO)
    grey = cv2.cvtColor(image_HW3, cv2.COLOR_RGB2GRAY)[..., None]
    return (0.4 * grey + 0.6 * colour[..., ::-1]).astype(np.uint8)


def tile(picture_HW3: UInt8, *, height_px: int) -> UInt8:
    """Resize a picture to the height of a panel."""
    height, width = picture_HW3.shape[:2]
    size = (max(1, round(width * height_px / height)), height_px)
    return cv2.resize(picture_HW3, size, interpolation=cv2.INTER_AREA)


def titled(picture_HW3: UInt8, text: str) -> UInt8:
    """Put a white strip of TITLE_PX with a text above a picture. Text that is too long is cut."""
    strip = Image.new("RGB", (picture_HW3.shape[1], TITLE_PX), "white")
    font = ImageFont.load_default(size=0.7 * TITLE_PX)
    ImageDraw.Draw(strip).text((2, TITLE_PX / 2), text, fill="black", font=font, anchor="lm")
    return np.concatenate([np.asarray(strip), picture_HW3])


def panel(tiles: Sequence[UInt8 | None]) -> UInt8:
    """Put tiles of one size side by side. A missing tile (None) is hatched."""
    height, width = next(t.shape for t in tiles if t is not None)[:2]
    shown = [_missing((width, height)) if t is None else t for t in tiles]
    gap = np.full((height, 4, 3), 255, np.uint8)
    return np.concatenate([part for t in shown for part in (t, gap)][:-1], axis=1)


def _missing(size: tuple[int, int]) -> UInt8:
    y, x = np.mgrid[: size[1], : size[0]]
    stripes = np.where((x + y) // 6 % 2 == 0, 235, 245).astype(np.uint8)
    return np.repeat(stripes[..., None], 3, axis=2)
