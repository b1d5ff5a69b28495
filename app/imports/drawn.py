"""What a person drew on one image, and how shapes become a label.

Points are (x, y) in px: (0, 0) is the image's upper left corner, and the pixel in row 0 and column
0 lies between (0, 0) and (1, 1).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np

from pipeline.core.arrays import VOID, Mask, UInt8
from pipeline.core.errors import MissingFileError, UserError

Names = Callable[[str], int]  # the index of a label's name: 0 background, 1.. classes, 255 void
Size = tuple[int, int]  # height and width in px


@dataclass(frozen=True)
class Drawn:
    """One image of a file of annotations.

    `image` is what the file calls it. `size` is None if the file does not tell it. `draw` makes the
    label (H, W) from the indices of names and the size of the image.
    """

    image: str
    size: Size | None
    draw: Callable[[Names, Size], UInt8]


def combine(shapes: Iterable[tuple[int, Mask]], *, size: Size) -> UInt8:
    """Draw shapes of class indices on background.

    Where shapes of two classes overlap, nobody has decided between them: these pixels are void.
    """
    label_HW = np.zeros(size, np.uint8)
    for index, mask_HW in shapes:
        if index:
            other = mask_HW & (label_HW != 0) & (label_HW != index)
            label_HW[mask_HW] = index
            label_HW[other] = VOID
    return label_HW


def fill(points_N2: Sequence[Sequence[float]], *, size: Size) -> Mask:
    """Return the pixels (H, W) whose centre lies inside a polygon, by the even-odd rule.

    Each edge flips all pixels to its right, in the rows whose centres it crosses.
    """
    height, width = size
    flips = np.zeros((height, width + 1), np.int32)
    for (x0, y0), (x1, y1) in zip(points_N2, [*points_N2[1:], points_N2[0]], strict=True):
        first, last = (min(max(ceil(y - 0.5), 0), height) for y in sorted((y0, y1)))
        rows = np.arange(first, last)
        if len(rows):
            x = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            columns = np.clip(np.ceil(x - 0.5), 0, width).astype(int)
            flips[rows, columns] += 1  # a row comes once
    return flips.cumsum(axis=1)[:, :width] % 2 == 1


def runs(counts: Sequence[int], *, size: Size) -> Mask:
    """Decode lengths of runs along rows (H, W). The first run, which may be empty, is of zeros.

    Raises:
        ValueError: the runs do not fill the mask.
    """
    lengths = np.asarray(counts, np.int64)
    if (lengths < 0).any() or lengths.sum() != size[0] * size[1]:
        raise ValueError(f"its runs do not fill {size[1]} x {size[0]} px")
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(size)


def only_file(path: Path, suffix: str) -> Path:
    """Return the file `path`, or the only file with a suffix in the folder `path`.

    Raises:
        UserError: the file is missing, or several files have the suffix.
    """
    if not path.exists():
        raise MissingFileError(path, "give what the annotation tool exported")
    if path.suffix.lower() in (".zip", ".gz", ".tgz"):
        raise UserError(f"{path}: is an archive; unpack it, and give the folder")
    if path.is_file():
        return path
    files = sorted(path.rglob(f"*{suffix}"))
    if len(files) != 1:
        raise UserError(f"{path}: holds {len(files)} files *{suffix}; give the file of the masks")
    return files[0]
