"""Pictures of the report: labels over photographs, and panels of one image's way through the chain.

Shapes: K tags of one image, H, W image size in px, h, w map size. Pictures are RGB, uint8.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.core.arrays import CONTESTED, VOID, Float, UInt8
from pipeline.core.formats import PALETTE
from pipeline.core.maps import normalise, resize, strongest

TILES = ("image", "class maps", "seed", "saliency", "guide", "prediction", "truth", "errors")
TITLE_PX = 20  # height of a title above a tile
COLOURS = np.array(PALETTE, np.uint8).reshape(256, 3)
RIGHT, FALSE_ALARM, MISSED, MIXED = (70, 160, 70), (230, 120, 30), (60, 90, 220), (200, 50, 160)


def overlay(image_HW3: UInt8, label_HW: UInt8, *, strength: float = 0.6) -> UInt8:
    """Colour the labelled pixels of an image.

    Background keeps its colour. Void and contested pixels turn pale.
    """
    tint = COLOURS[label_HW].astype(np.float32)
    tint[label_HW == CONTESTED] = (255, 255, 255)
    mixed = (1 - strength) * image_HW3 + strength * tint
    return np.where((label_HW > 0)[..., None], mixed, image_HW3).astype(np.uint8)


def errors(label_HW: UInt8, truth_HW: UInt8) -> UInt8:
    """Draw right object pixels, false alarms, missed pixels and wrong classes in four colours."""
    out = np.full((*label_HW.shape, 3), 245, np.uint8)
    true, predicted, known = truth_HW > 0, label_HW > 0, truth_HW != VOID
    out[known & true & (label_HW == truth_HW)] = RIGHT
    out[known & ~true & predicted] = FALSE_ALARM
    out[known & true & ~predicted] = MISSED
    out[known & true & predicted & (label_HW != truth_HW)] = MIXED
    out[~known] = (200, 200, 200)
    return out


def heat(image_HW3: UInt8, map_HW: Float) -> UInt8:
    """Draw a map in [0, 1] as colours over the greyed image."""
    colour = cv2.applyColorMap((np.clip(map_HW, 0, 1) * 255).astype(np.uint8), cv2.COLORMAP_TURBO)
    grey = cv2.cvtColor(image_HW3, cv2.COLOR_RGB2GRAY)[..., None]
    return (0.4 * grey + 0.6 * colour[..., ::-1]).astype(np.uint8)


def grey(map_HW: Float) -> UInt8:
    """Draw a map in [0, 1] as a grey image."""
    return np.repeat((np.clip(map_HW, 0, 1) * 255).astype(np.uint8)[..., None], 3, axis=2)


@dataclass(frozen=True)
class Chain:
    """One image and what the links of the chain made of it. None: the link made nothing."""

    image_HW3: UInt8
    maps_Khw: Float
    tags_K: UInt8
    saliency_HW: Float
    seed_HW: UInt8 | None
    guide_HW: UInt8 | None
    prediction_HW: UInt8 | None
    truth_HW: UInt8 | None


def tiles(chain: Chain, *, height_px: int) -> list[UInt8 | None]:
    """Draw one tile for each title of TILES; None for what is missing.

    The errors are those of the prediction, or of the guide label if there is no prediction.
    """
    image, truth = chain.image_HW3, chain.truth_HW
    last = chain.guide_HW if chain.prediction_HW is None else chain.prediction_HW
    size = {"height_px": image.shape[0], "width_px": image.shape[1]}
    strength, _ = strongest(resize(normalise(chain.maps_Khw), **size), chain.tags_K)
    pictures = [
        image,
        heat(image, strength),
        _overlay(image, chain.seed_HW),
        grey(chain.saliency_HW),
        *(_overlay(image, label) for label in (chain.guide_HW, chain.prediction_HW, truth)),
        None if last is None or truth is None else errors(last, truth),
    ]
    return [None if p is None else tile(p, height_px=height_px) for p in pictures]


def _overlay(image_HW3: UInt8, label_HW: UInt8 | None) -> UInt8 | None:
    return None if label_HW is None else overlay(image_HW3, label_HW)


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
