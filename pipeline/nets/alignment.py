"""Where a network's maps show what the network sees: measured with mirror images, then corrected.

A map is painted over its image as if the centre of a feature were the centre of its cell. Strides
with one-sided padding move the centre, and trained kernels move it again. So a class map may lie
several px beside its evidence.

Shapes: N images, C channels, H, W image size in px, h, w map size.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Offset = tuple[int, int]  # px of the network's input, down and right

REACH_PX = 16  # the largest offset that is looked for
LEAST_GAIN = 0.005  # in correlation; below it the maps count as lying in place
LEAST_CELLS = 8  # on each side of a map
ROUNDS = 4  # at most
BATCH = 8


def measure_offset(compute: Callable[[Tensor], Tensor], image_N3HW: Tensor) -> Offset:
    """Measure how far, down and right, the maps of `compute` lie from their evidence.

    Evidence at p is painted at p + d. In the mirror image it is painted on the other side, at p - d
    once the map is mirrored back. So the two maps agree best where one is read at p + d and the
    other at p - d. The correlation is taken over all images, channels and inner cells. What depends
    on the image's border does not move with the picture and draws the result towards 0. So the
    picture is moved by the offset, and the rest is measured, until nothing is left.

    Args:
        compute: from images (N, 3, H, W) to maps (N, C, h, w).
        image_N3HW: pictures that the network knows, in any dtype.

    Returns:
        Whole px. 0 where moving the maps gains nothing, as for a network without an offset, and
        where the maps have too few cells to tell.
    """
    down = right = 0
    for _ in range(ROUNDS):
        rest = _measure_once(compute, image_N3HW, (down, right))
        down, right = down + rest[0], right + rest[1]
        if rest == (0, 0):
            break
    return down, right


def _measure_once(
    compute: Callable[[Tensor], Tensor], image_N3HW: Tensor, offset_px: Offset
) -> Offset:
    """Measure what is left of the offset if the pictures are moved by `offset_px`."""

    def maps(image_N3HW: Tensor) -> Tensor:
        parts = torch.split(move(image_N3HW, offset_px), BATCH)
        return torch.cat([compute(part).float() for part in parts])

    plain, size = maps(image_N3HW), image_N3HW.shape
    if min(plain.shape[2:]) < LEAST_CELLS:
        return 0, 0
    down, right = (
        _offset_along(
            dim, plain, maps(image_N3HW.flip(dim)).flip(dim), stride=size[dim] / plain.shape[dim]
        )
        for dim in (2, 3)
    )
    return down, right


def _offset_along(dim: int, plain: Tensor, mirrored: Tensor, *, stride: float) -> int:
    gain = {
        px: _agreement(_read(plain, dim, px / stride), _read(mirrored, dim, -px / stride))
        for px in range(-REACH_PX, REACH_PX + 1)
    }
    best = max(gain, key=lambda px: (gain[px], -abs(px)))
    return best if gain[best] > gain[0] + LEAST_GAIN else 0


def _read(maps_NChw: Tensor, dim: int, cells: float) -> Tensor:
    """Read the inner half of the maps at positions moved by `cells` along `dim`, bilinearly."""
    count = maps_NChw.shape[dim]
    inner = torch.arange(count // 4, count - count // 4, device=maps_NChw.device)
    low = (inner + cells).floor().long()
    weight = (inner + cells - low).view([-1 if d == dim else 1 for d in range(4)])
    near, far = (maps_NChw.index_select(dim, i.clamp(0, count - 1)) for i in (low, low + 1))
    return near * (1 - weight) + far * weight


def _agreement(one_NChw: Tensor, other_NChw: Tensor) -> float:
    """Correlate two sets of maps, about the mean of all images: the border's pattern drops out."""
    one, other = (m - m.mean(0) for m in (one_NChw, other_NChw))
    one, other = (m - m.mean((2, 3), keepdim=True) for m in (one, other))
    return float((one * other).sum() / (one.norm() * other.norm()).clamp(min=1e-12))


def move(image_N3HW: Tensor, offset_px: Offset) -> Tensor:
    """Move the picture against the offset, so that its maps are painted in place.

    The picture moves up and left by the offset, and its own mirror image fills the gap. Unlike a
    move of the maps, this blurs nothing, and the mean of a map stays the logit.
    """
    for dim, px in zip((2, 3), offset_px, strict=True):
        if px:
            last = image_N3HW.shape[dim] - 1
            source = (torch.arange(last + 1, device=image_N3HW.device) + px).abs()
            image_N3HW = image_N3HW.index_select(dim, last - (last - source).abs())
    return image_N3HW
