"""Masks in the layout of a VOC devkit, with a labelmap.txt that names their colours.

CVAT and datumaro write colour images and choose the colours. Our own exports are palette PNGs.
"""

from functools import partial
from pathlib import Path

import numpy as np

from app.exports.source import VOID_NAME
from app.imports.drawn import Drawn, Names, Size
from pipeline.core import formats, tables
from pipeline.core.arrays import VOID, UInt8
from pipeline.core.errors import MissingFileError, UserError
from pipeline.core.formats import PALETTE

MASKS, LABELS = "SegmentationClass", "labelmap.txt"
Colours = dict[int, str]  # the name of each colour, which is 65536 R + 256 G + B


def read(folder: Path) -> list[Drawn]:
    """Read SegmentationClass/ID.png and labelmap.txt of a folder.

    Raises:
        UserError: one of them is missing, or labelmap.txt is damaged.
    """
    masks = folder / MASKS
    if not masks.is_dir():
        raise MissingFileError(
            masks, "unpack what the annotation tool exported, and give that folder"
        )
    colours = _read_colours(folder / LABELS)
    return [
        Drawn(path.relative_to(masks).as_posix(), None, partial(_draw, path, colours))
        for path in sorted(masks.rglob("*.png"))
    ]


def _read_colours(path: Path) -> Colours:
    """Read the lines NAME:R,G,B:: of labelmap.txt. VOC's colour of void needs no line."""
    void = int.from_bytes(bytes(PALETTE[3 * VOID : 3 * VOID + 3]))
    colours = {void: VOID_NAME}
    text = tables.read_text(path, hint="it names the colours of the masks")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            name, colour, *_ = line.split(":")
            colours[int.from_bytes(bytes(map(int, colour.split(","))))] = name
        except ValueError as e:
            raise UserError(f"{path}: line {number} is not NAME:R,G,B::; correct it") from e
    return colours


def _draw(path: Path, colours: Colours, names: Names, _: Size) -> UInt8:
    codes_HW = formats.read_image(path).astype(np.int64) @ (65536, 256, 1)
    codes, places = np.unique(codes_HW, return_inverse=True)
    if unknown := [c for c in codes.tolist() if c not in colours]:
        colour = ",".join(map(str, int(unknown[0]).to_bytes(3)))
        raise UserError(f"{path}: holds the colour {colour}; add its line to {LABELS}")
    indices = np.array([names(colours[code]) for code in codes.tolist()], np.uint8)
    return indices[places.reshape(codes_HW.shape)]
