"""Joint random transforms of an image and its label.

Shapes: H, W input size in px, S the crop's side in px.
"""

import cv2
import numpy as np

from pipeline.core.arrays import VOID, UInt8

LUMA = np.array([0.299, 0.587, 0.114])  # of R, G, B, ITU-R BT.601


def random_view(
    image_HW3: UInt8,
    label_HW: UInt8 | None,
    *,
    size_px: int,
    scale: tuple[float, float],
    jitter: float,
    rng: np.random.Generator,
) -> tuple[UInt8, UInt8 | None]:
    """Scale, crop or pad, flip and recolour.

    Args:
        image_HW3: RGB.
        label_HW: class indices of the same size, or None.
        size_px: side S of the square that comes out.
        scale: range of the long side as a multiple of S, drawn uniformly.
        jitter: largest change of brightness, contrast and saturation, as a share in [0, 1].
        rng: the only source of chance.

    Returns:
        Image (S, S, 3), reflected at its borders, and label (S, S), void there.
    """
    factor = rng.uniform(*scale) * size_px / max(image_HW3.shape[:2])
    height, width = (max(1, round(side * factor)) for side in image_HW3.shape[:2])
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    image: UInt8 = cv2.resize(image_HW3, (width, height), interpolation=how)
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
    """Where the crop starts; negative where the image is smaller and sits inside the crop."""
    low, high = sorted((0, side - size))
    return int(rng.integers(low, high + 1))


def _window(array: UInt8, top: int, left: int, size: int, *, mode: str) -> UInt8:
    cut = array[max(top, 0) : top + size, max(left, 0) : left + size]
    pad = [(max(-top, 0), 0), (max(-left, 0), 0)]
    pad = [(a, size - a - side) for (a, _), side in zip(pad, cut.shape[:2], strict=True)]
    pad += [(0, 0)] * (array.ndim - 2)
    if mode == "constant":
        return np.pad(cut, pad, constant_values=VOID)
    return np.pad(cut, pad, mode="symmetric")


def _recolour(image_HW3: UInt8, jitter: float, rng: np.random.Generator) -> UInt8:
    """Brightness, contrast and saturation, each by a factor in [1 - jitter, 1 + jitter].

    All three together are one affine map of a pixel's colour.
    """
    bright, contrast, colour = 1 + jitter * rng.uniform(-1, 1, 3)
    image = np.ascontiguousarray(image_HW3)
    if jitter == 0:
        return image
    grey = float(LUMA @ cv2.mean(image)[:3])
    matrix = bright * contrast * (colour * np.eye(3) + (1 - colour) * np.tile(LUMA, (3, 1)))
    offset = np.full((3, 1), bright * (1 - contrast) * grey)
    return cv2.transform(image, np.hstack([matrix, offset]))
