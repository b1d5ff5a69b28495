"""Images and their sizes: that of the file, and that at which a network sees it. Needs no torch.

Shapes: H, W size of the image in px.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2

from pipeline.core.arrays import UInt8

Size = tuple[int, int]  # height and width in px


@dataclass(frozen=True)
class Photo:
    """An image without tags or split, and the size of its upright picture."""

    id: str
    image: Path
    height_px: int
    width_px: int


def target_size(height_px: int, width_px: int, *, long_px: int, stride: int) -> Size:
    """Scale a size to a long side of `long_px`, and round each side to a multiple of `stride`."""
    factor = long_px / max(height_px, width_px)
    return tuple(  # type: ignore[return-value]
        max(stride, stride * round(side * factor / stride)) for side in (height_px, width_px)
    )


def base_size(
    height_px: int, width_px: int, *, size_px: int | Literal["native"], stride: int
) -> Size:
    """Return the size at scale 1. With `native`, each side is only rounded."""
    long_px = max(height_px, width_px) if size_px == "native" else size_px
    return target_size(height_px, width_px, long_px=long_px, stride=stride)


def at_scale(size: Size, scale: float, *, stride: int) -> Size:
    """Return the size at another scale."""
    return target_size(*size, long_px=round(max(size) * scale), stride=stride)


def views(image_HW3: UInt8, size: Size, scales: Sequence[float], *, stride: int) -> list[UInt8]:
    """Resize an image to each scale; `size` is its size at scale 1."""
    return [_resize(image_HW3, at_scale(size, scale, stride=stride)) for scale in scales]


def _resize(image_HW3: UInt8, size: Size) -> UInt8:
    height, width = size
    shrinks = width < image_HW3.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image_HW3, (width, height), interpolation=interpolation)
