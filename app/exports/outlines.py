"""Masks as polygons without holes.

Points are (x, y) in px at the corners of pixels: (0, 0) is the image's upper left corner, and the
pixel in row 0 and column 0 lies between (0, 0) and (1, 1).
"""

from itertools import pairwise

import cv2
import numpy as np
from skimage.measure import approximate_polygon

from pipeline.core.arrays import Int, Mask

TOLERANCE_PX = 1.0  # how far a polygon may leave the mask's outline; a diagonal's steps need 0.71


def polygons(mask_HW: Mask) -> list[Int]:
    """Outline a mask (H, W) by polygons (N, 2), whose union it is within TOLERANCE_PX.

    Polygons of annotation files hold no holes. So a region with holes is cut along rows through
    them. A cut keeps its ends, so that its two parts meet.
    """
    return _outlines(mask_HW, x=0, y=0, cuts=())


def _outlines(mask_HW: Mask, *, x: int, y: int, cuts: tuple[int, ...]) -> list[Int]:
    """Outline each connected region. The mask starts at column x and row y of the image."""
    count, regions_HW, boxes, _ = cv2.connectedComponentsWithStats(
        mask_HW.astype(np.uint8), connectivity=4
    )
    out: list[Int] = []
    for region in range(1, count):
        left, top, width, height, _ = map(int, boxes[region])
        part = regions_HW[top : top + height, left : left + width] == region
        outline, holes = _trace(part)
        if not holes:
            out.append(_simplify(outline + np.array([x + left, y + top]), cuts))
            continue
        hole = holes[len(holes) // 2]
        row = int(hole[:, 1].min() + hole[:, 1].max()) // 2
        cuts_here = (*cuts, y + top + row)
        out += _outlines(part[:row], x=x + left, y=y + top, cuts=cuts_here)
        out += _outlines(part[row:], x=x + left, y=y + top + row, cuts=cuts_here)
    return out


def _trace(region_HW: Mask) -> tuple[Int, list[Int]]:
    """Return the outline of a connected region and the outlines of its holes.

    OpenCV walks from centre to centre of the pixels of the border. In an image of twice the size,
    each of them lies beside one corner of an original pixel.
    """
    doubled = region_HW.repeat(2, axis=0).repeat(2, axis=1).astype(np.uint8)
    contours, tree = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    rings = [(contour[:, 0].astype(int) + 1) // 2 for contour in contours]
    parents = tree[0][:, 3]
    outline = rings[int(np.flatnonzero(parents < 0)[0])]
    return outline, [ring for ring, parent in zip(rings, parents, strict=True) if parent >= 0]


def _simplify(ring_N2: Int, cuts: tuple[int, ...]) -> Int:
    """Leave out points of a ring that are within TOLERANCE_PX of the rest, but none on a cut."""
    ring = ring_N2[(ring_N2 != np.roll(ring_N2, 1, axis=0)).any(axis=1)]
    step = ring - np.roll(ring, 1, axis=0)
    ring = ring[(step != np.roll(step, -1, axis=0)).any(axis=1)]  # the corners
    kept = np.flatnonzero(np.isin(ring[:, 1], cuts))
    if len(kept) < 2:
        start = int(kept[0]) if len(kept) else 0
        farthest = int(((ring - ring[start]) ** 2).sum(axis=1).argmax())
        kept = np.array(sorted((start, farthest)))
    ring = np.roll(ring, -kept[0], axis=0)
    ends = [*(kept - kept[0]), len(ring)]
    closed = np.concatenate([ring, ring[:1]])
    pieces = [approximate_polygon(closed[a : b + 1], TOLERANCE_PX)[:-1] for a, b in pairwise(ends)]
    simple = np.concatenate(pieces)
    return simple if len(simple) >= 3 else ring
