"""Random transforms that move an image and its label together.

Shapes: H, W image size in px, S side of the view in px.
"""

import cv2
import numpy as np

from pipeline.core.arrays import VOID, UInt8

LUMA = np.array([0.299, 0.587, 0.114])  # weights of R, G and B in grey, ITU-R BT.601


def random_view(
    image_HW3: UInt8,
    label_HW: UInt8 | None,
    *,
    size_px: int,
    scale: tuple[float, float],
    jitter: float,
    rng: np.random.Generator,
) -> tuple[UInt8, UInt8 | None]:
    """Make a square view of an image: scale it, crop or pad it, flip it, and change its colours.

    Args:
        image_HW3: RGB image.
        label_HW: class indices, or None.
        size_px: side S of the view.
        scale: the long side becomes S times a number that is drawn uniformly from this range.
        jitter: brightness, contrast and saturation change by at most this fraction, in [0, 1].
        rng: draws everything random.

    Returns:
        Image (S, S, 3) and label (S, S) or None. Where the image is smaller than the view, the
        image is padded by reflection, and the label is VOID.
    """
    factor = rng.uniform(*scale) * size_px / max(image_HW3.shape[:2])
    height, width = (max(1, round(side * factor)) for side in image_HW3.shape[:2])
    interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    image: UInt8 = cv2.resize(image_HW3, (width, height), interpolation=interpolation)
    top, left = (_offset(side, size_px, rng) for side in (height, width))
    flip = rng.random() < 0.5
    image = _window(image, top, left, size_px, mode="reflect")
    image = _recolour(image[:, ::-1] if flip else image, jitter, rng)
    if label_HW is None:
        return image, None
    label = cv2.resize(label_HW, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    label = _window(label, top, left, size_px, mode="constant")
    return image, np.ascontiguousarray(label[:, ::-1] if flip else label)


def _offset(side: int, size: int, rng: np.random.Generator) -> int:
    """Draw where the view starts along one side. If the image is smaller, this is 0 or negative."""
    low, high = sorted((0, side - size))
    return int(rng.integers(low, high + 1))


def _window(array: UInt8, top: int, left: int, size: int, *, mode: str) -> UInt8:
    """Cut a square out of an image or a label, and pad it where it reaches outside."""
    cut = array[max(top, 0) : top + size, max(left, 0) : left + size]
    pad = [(max(-top, 0), 0), (max(-left, 0), 0)]
    pad = [(a, size - a - side) for (a, _), side in zip(pad, cut.shape[:2], strict=True)]
    pad += [(0, 0)] * (array.ndim - 2)
    if mode == "constant":
        return np.pad(cut, pad, constant_values=VOID)
    return np.pad(cut, pad, mode="symmetric")


def _recolour(image_HW3: UInt8, jitter: float, rng: np.random.Generator) -> UInt8:
    """Multiply brightness, contrast and saturation by factors in [1 - jitter, 1 + jitter].

    The three together are one affine map of each pixel's colour.
    """
    bright, contrast, colour = 1 + jitter * rng.uniform(-1, 1, 3)
    image = np.ascontiguousarray(image_HW3)
    if jitter == 0:
        return image
    grey = float(LUMA @ cv2.mean(image)[:3])
    matrix = bright * contrast * (colour * np.eye(3) + (1 - colour) * np.tile(LUMA, (3, 1)))
    offset = np.full((3, 1), bright * (1 - contrast) * grey)
    return cv2.transform(image, np.hstack([matrix, offset]))
