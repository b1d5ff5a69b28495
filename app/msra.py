r"""MSRA's boxes of salient objects as the boxes.json that the saliency network learns from.

Source: Liu et al., "Learning to Detect a Salient Object", CVPR 2007: image set B, where nine users
drew one rectangle each. The format is that which public parsers of these files read:

    5000                            number of images; may be missing
    0\0_1_1234.jpg                  an image, with its folder
    400 300                         width and height in px
    46 51 304 236; 52 50 301 230;   a rectangle of each user: left top right bottom
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from pipeline.core import formats
from pipeline.core.errors import UserError

Rectangle = tuple[int, ...]  # left, top, right, bottom; right and bottom lie outside

RECTANGLES = re.compile(r"(\s*-?\d+\s+-?\d+\s+-?\d+\s+-?\d+\s*;)+")
SIZE = re.compile(r"\d+\s+\d+")
CATEGORY = {"id": 1, "name": "salient object"}  # MSRA names no class


@dataclass
class Annotated:
    """An image of an annotation file, and what its users drew."""

    name: str
    width_px: int
    height_px: int
    rectangles: list[Rectangle] = field(default_factory=list)


def read_annotations(path: Path) -> list[Annotated]:
    """Read one annotation file in the format above.

    Raises:
        UserError: the file is missing or in another format.
    """
    if not path.is_file():
        raise UserError(f"{path}: not found; give MSRA's text file of rectangles")
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    lines = [(i, line.strip()) for i, line in enumerate(text.splitlines(), 1) if line.strip()]
    count = int(lines.pop(0)[1]) if lines and lines[0][1].isdigit() else None
    images: list[Annotated] = []
    name = ""
    for number, line in lines:
        if name and SIZE.fullmatch(line):
            width, height = map(int, line.split())
            images.append(Annotated(name, width, height))
            name = ""
        elif images and not name and RECTANGLES.fullmatch(line):
            drawn = [tuple(map(int, part.split())) for part in line.split(";") if part.strip()]
            images[-1].rectangles += drawn
        elif not name and Path(line).suffix.lower() in formats.SUFFIXES:
            name = line
        else:
            _raise_format(path, number, line)
    _require_whole(path, images, unfinished=name, count=count)
    return images


def _require_whole(
    path: Path, images: Sequence[Annotated], *, unfinished: str, count: int | None
) -> None:
    """Check that every image has rectangles, and that there are `count` images, if it is given."""
    without = [image.name for image in images if not image.rectangles]
    if unfinished or without:
        what = f"'{unfinished or without[0]}' without rectangles"
    elif not images or count not in (None, len(images)):
        what = f"{len(images)} images" + (f" instead of {count}" if count else "")
    else:
        return
    raise UserError(f"{path}: holds {what}; the file may be cut off, so get it again")


def _raise_format(path: Path, number: int, line: str) -> None:
    raise UserError(
        f"{path}: line {number}: '{line[:40]}' is not expected here; each image needs a line with "
        "its name, one with 'width height', then rectangles 'left top right bottom;'"
    )


def agreed_box(image: Annotated) -> list[int] | None:
    """Return the box [x, y, width, height] around what at least half of the users marked.

    We do not know how Oh et al. join the users' rectangles, so this is our choice. If no pixel lies
    in at least half of the rectangles, there is no box.
    """
    votes = np.zeros((image.height_px, image.width_px), int)
    for left, top, right, bottom in image.rectangles:
        votes[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] += 1
    agreed = 2 * votes >= len(image.rectangles)
    if not agreed.any():
        return None
    rows, columns = (np.flatnonzero(agreed.any(axis=axis)) for axis in (1, 0))
    left, top = int(columns[0]), int(rows[0])
    return [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top]


def convert(annotations: Sequence[Path], root: Path) -> str:
    """Write ROOT/boxes.json for the images below ROOT/images; say what was left out.

    Raises:
        UserError: an annotation file is in another format, or an image is missing.
    """
    files = {p.name: p.relative_to(root / "images").as_posix() for p in _photos(root / "images")}
    entries: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    without = 0
    for image in (image for path in annotations for image in read_annotations(path)):
        name, box = PureWindowsPath(image.name).name, agreed_box(image)
        if name not in files:
            raise UserError(f"{root / 'images'}: no image '{name}'; put MSRA's images there")
        without += box is None
        if box:
            entries.append({"id": len(entries) + 1, "file_name": files[name]})
            boxes.append({"image_id": len(entries), "category_id": CATEGORY["id"], "bbox": box})
    content = {"images": entries, "annotations": boxes, "categories": [CATEGORY]}
    formats.write_json(root / "boxes.json", content)
    return (
        f"{root / 'boxes.json'}: {len(entries)} images, {without} left out because their users do "
        f"not agree. MSRA names no class: list the ids of images that show one of yours in "
        f"{root / 'exclude.txt'}"
    )


def _photos(folder: Path) -> list[Path]:
    """List the photographs below a folder. Masks, which MSRA-B has as PNG, are none of them."""
    return [p for p in sorted(folder.rglob("*")) if p.suffix.lower() in (".jpg", ".jpeg")]
