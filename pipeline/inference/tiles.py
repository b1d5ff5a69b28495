"""Large images in parts: a network on overlapping tiles, labels in windows. Needs no torch.

Shapes: K outputs; H, W size of the image in px; h, w size of the logits.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np

from pipeline.core.arrays import Float, UInt8
from pipeline.core.maps import resize
from pipeline.inference.sizes import base_size, views

Compute = Callable[[UInt8], Float]  # an image (H, W, 3) -> logits (K, h, w)
LabelOf = Callable[[UInt8, Float], UInt8]  # an image (H, W, 3), its logits (K, H, W) -> labels

OVERLAP = 0.25  # of the side of a tile
WINDOW_PX = 768  # side of the windows in which labels of a large image are made
MARGIN_PX = 128  # around a window: what the CRF sees of its surroundings


def spans(length: int, *, size: int, overlap: int) -> list[slice]:
    """Cover 0 to `length` with parts of one `size`, of which neighbours share `overlap` or more.

    The last part ends at `length`. A part is shorter only if it covers all.
    """
    if length <= size:
        return [slice(0, length)]
    step = size - overlap
    starts = [*range(0, length - size, step), length - size]
    return [slice(start, start + size) for start in starts]


def blended(compute: Compute, image_HW3: UInt8, *, tile_px: int, stride: int) -> Float:
    """Compute the logits of an image at its own scale from overlapping tiles.

    Where tiles overlap, the logits are a weighted mean. The weight of a tile falls linearly
    towards its sides, except at the border of the image. If one tile covers the image, the result
    is that of the whole image.

    Args:
        compute: the network. If its logits have no whole number of px in a cell, as those of a
            network with a fixed input size, they are resized to cells of `stride` px.
        image_HW3: the image. Each side is resized to a multiple of `stride`.
        tile_px: side of a tile, rounded to a multiple of `stride`.
        stride: what each side of the network's input is a multiple of.

    Returns:
        Logits (K, h, w) in float32.
    """
    size = base_size(*image_HW3.shape[:2], size_px="native", stride=stride)
    (image,) = views(image_HW3, size, [1.0], stride=stride)
    tile_px = stride * max(1, round(tile_px / stride))
    overlap_px = stride * round(OVERLAP * tile_px / stride)
    rows, columns = (spans(side, size=tile_px, overlap=overlap_px) for side in size)
    total = weights = np.zeros(0, np.float32)
    for down in rows:
        for right in columns:
            logits, cell = _on_grid(compute(image[down, right]), down, right, stride=stride)
            if not total.size:
                total = np.zeros((len(logits), size[0] // cell, size[1] // cell), np.float32)
                weights = np.zeros(total.shape[1:], np.float32)
            place = tuple(slice(s.start // cell, s.stop // cell) for s in (down, right))
            ramps = (
                _ramp(s, end, overlap_px, cell) for s, end in zip((down, right), size, strict=True)
            )
            weight = np.outer(*ramps)
            total[:, *place] += weight * logits
            weights[place] += weight
    return total / weights


def _on_grid(logits_Khw: Float, down: slice, right: slice, *, stride: int) -> tuple[Float, int]:
    """Return logits whose cells are squares of whole px, and the side of a cell."""
    height, width = down.stop - down.start, right.stop - right.start
    cell = height // logits_Khw.shape[1]
    if (logits_Khw.shape[1] * cell, logits_Khw.shape[2] * cell) == (height, width):
        return logits_Khw, cell
    return resize(logits_Khw, height_px=height // stride, width_px=width // stride), stride


def _ramp(span: slice, length: int, overlap_px: int, cell: int) -> Float:
    """Weigh the cells of a tile along one axis: 1 inside, less where it overlaps its neighbours."""
    count, overlap = (span.stop - span.start) // cell, overlap_px // cell
    rise = (np.arange(count, dtype=np.float32) + 0.5) / max(1, overlap)
    from_start = np.ones(count, np.float32) if span.start == 0 else np.minimum(1, rise)
    to_end = np.ones(count, np.float32) if span.stop == length else np.minimum(1, rise[::-1])
    return np.minimum(from_start, to_end)


def label(
    image_HW3: UInt8,
    logits_Khw: Float,
    label_of: LabelOf,
    *,
    window_px: int = WINDOW_PX,
    margin_px: int = MARGIN_PX,
) -> UInt8:
    """Label the pixels (H, W) of an image, in windows if it is larger than one.

    So the memory for logits at full size does not grow with the image.

    Args:
        image_HW3: the image.
        logits_Khw: its logits.
        label_of: labels an image by its logits of the same size.
        window_px: side of a window. An image of up to this size and two margins is labelled whole.
        margin_px: what `label_of` sees of the surroundings on each side of a window.
    """
    height, width = image_HW3.shape[:2]
    if max(height, width) <= window_px + 2 * margin_px:
        return label_of(image_HW3, resize(logits_Khw, height_px=height, width_px=width))
    out = np.empty((height, width), np.uint8)
    for rows, columns in windows(height, width, window_px=window_px):
        down, right = _widened(rows, height, margin_px), _widened(columns, width, margin_px)
        logits = window(logits_Khw, down, right, height_px=height, width_px=width)
        seen = label_of(image_HW3[down, right], logits)
        inner = (_inside(rows, down), _inside(columns, right))
        out[rows, columns] = seen[inner]
    return out


def windows(
    height_px: int, width_px: int, *, window_px: int = WINDOW_PX
) -> Iterator[tuple[slice, slice]]:
    """Divide an image into rows and columns of windows of nearly one size."""
    for rows in _divided(height_px, window_px):
        for columns in _divided(width_px, window_px):
            yield rows, columns


def _divided(length: int, size: int) -> list[slice]:
    count = math.ceil(length / size)
    return [slice(length * i // count, length * (i + 1) // count) for i in range(count)]


def _widened(span: slice, length: int, margin: int) -> slice:
    return slice(max(0, span.start - margin), min(length, span.stop + margin))


def _inside(span: slice, wider: slice) -> slice:
    """Return where a span lies in a wider one."""
    return slice(span.start - wider.start, span.stop - wider.start)


def window(maps_Khw: Float, rows: slice, columns: slice, *, height_px: int, width_px: int) -> Float:
    """Return what `maps.resize` to the image's size gives in a window, without the rest."""
    part = _along(maps_Khw, 1, rows, height_px)
    return _along(part, 2, columns, width_px)


def _along(maps_Khw: Float, axis: int, span: slice, length_px: int) -> Float:
    """Interpolate linearly along one axis, with half-pixel centres."""
    count = maps_Khw.shape[axis]
    position = (np.arange(span.start, span.stop) + 0.5) * (count / length_px) - 0.5
    low = np.floor(position).astype(int)
    share = (position - low).astype(np.float32)
    share = share[None, :, None] if axis == 1 else share[None, None]
    near, far = (maps_Khw.take(np.clip(low + i, 0, count - 1), axis=axis) for i in (0, 1))
    return near * (1 - share) + far * share
