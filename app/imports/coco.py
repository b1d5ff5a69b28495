"""Masks from COCO annotations: run lengths, or polygons."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from app.imports.drawn import Drawn, Names, Size, combine, fill, only_file, runs
from app.tag_sources import coco
from pipeline.core import formats
from pipeline.core.arrays import Mask, UInt8


def read(path: Path) -> list[Drawn]:
    """Read a file in COCO format, or the only JSON file of a folder.

    Raises:
        UserError: the file is missing, is not JSON, or is not in COCO format.
    """
    file = only_file(path, ".json")
    with coco.in_format(file):
        return list(_drawn(formats.read_json(file)))


def _drawn(content: dict[str, Any]) -> Iterator[Drawn]:
    names = {category["id"]: str(category["name"]) for category in content["categories"]}
    of_image = defaultdict[Any, list[tuple[str, Any]]](list)
    for annotation in content["annotations"]:
        if segmentation := annotation.get("segmentation"):  # a box alone has none
            shape = names[annotation["category_id"]], segmentation
            of_image[annotation["image_id"]].append(shape)
    for image in content["images"]:
        size = int(image["height"]), int(image["width"])
        yield Drawn(str(image["file_name"]), size, partial(_draw, of_image[image["id"]]))


def _draw(shapes: Sequence[tuple[str, Any]], names: Names, size: Size) -> UInt8:
    masks = ((names(name), decode(segmentation, size=size)) for name, segmentation in shapes)
    return combine(masks, size=size)


def decode(segmentation: Any, *, size: Size) -> Mask:
    """Return the mask (H, W) of an annotation: run lengths down the columns, or polygons.

    Raises:
        ValueError, TypeError, KeyError, IndexError: it is damaged, or of another size.
    """
    height, width = size
    if isinstance(segmentation, dict):
        if list(segmentation["size"]) != [height, width]:
            raise ValueError(f"its size is not {width} x {height} px")
        counts = segmentation["counts"]
        lengths = _numbers(counts) if isinstance(counts, str) else counts
        return runs(lengths, size=(width, height)).T
    mask = combine((), size=size) > 0
    for polygon in segmentation:
        if len(polygon) < 6 or len(polygon) % 2:
            raise ValueError(f"a polygon of {len(polygon)} numbers")
        mask |= fill([*zip(polygon[::2], polygon[1::2], strict=True)], size=size)
    return mask


def _numbers(text: str) -> list[int]:
    """Decode COCO's compressed run lengths.

    Source: rleFrString in pycocotools' maskApi.c; `app.exports.coco.run_lengths` is the inverse.
    """
    counts: list[int] = []
    number = shift = 0
    for character in map(ord, text):
        group = character - 48
        if not 0 <= group < 64:
            raise ValueError(f"{chr(character)!r} in its run lengths")
        number |= (group & 31) << shift
        shift += 5
        if not group & 32:
            number -= (1 << shift) if group & 16 else 0
            counts.append(number + (counts[-2] if len(counts) > 2 else 0))
            number = shift = 0
    return counts
