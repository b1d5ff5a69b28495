"""Masks from Label Studio's JSON export: brush strokes and polygons."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from app.exports.label_studio import CHANNELS, RUN_BITS
from app.imports.drawn import Drawn, Names, Size, combine, fill, only_file
from app.tag_sources import label_studio
from pipeline.core import formats
from pipeline.core.arrays import VOID, Mask, UInt8

AREAS = ("brushlabels", "polygonlabels")
UNREAD = ("bitmasklabels", "ellipselabels", "vectorlabels")  # areas that we do not read


def read(path: Path) -> list[Drawn]:
    """Read a file that Label Studio exported as JSON, or the only JSON file of a folder.

    Raises:
        UserError: the file is missing, is not JSON, or is another export.
    """
    file = only_file(path, ".json")
    with label_studio.in_format(file):
        return list(_drawn(label_studio.tasks_of(formats.read_json(file))))


def _drawn(tasks: Sequence[dict[str, Any]]) -> Iterator[Drawn]:
    for task in tasks:
        annotations = label_studio.annotations_of(task)
        results = [[r for r in a["result"] if r["type"] in AREAS + UNREAD] for a in annotations]
        shapes = [result for result in results if result]
        size = _size(shapes[0][0]) if shapes else None
        yield Drawn(label_studio.image_of(task["data"]), size, partial(_draw, shapes))


def _size(result: dict[str, Any]) -> Size:
    return int(result["original_height"]), int(result["original_width"])


def _draw(annotations: Sequence[Sequence[dict[str, Any]]], names: Names, size: Size) -> UInt8:
    """Draw what each annotator drew. Where they disagree, the label is void."""
    label_HW, *others = [_draw_one(results, size, names) for results in annotations or [()]]
    for other_HW in others:
        label_HW[label_HW != other_HW] = VOID
    return label_HW


def _draw_one(results: Sequence[dict[str, Any]], size: Size, names: Names) -> UInt8:
    masks = ((names(_name(r)), _area(r, size)) for r in results)
    return combine(masks, size=size)


def _name(result: dict[str, Any]) -> str:
    (name,) = result["value"][result["type"]]
    return name


def _area(result: dict[str, Any], size: Size) -> Mask:
    """Return the mask (H, W) of a region. The points of a polygon are in percent of the image."""
    if result["type"] in UNREAD:
        raise ValueError(f"a region of type {result['type']}; draw with brush or polygon")
    if _size(result) != size or result.get("image_rotation"):
        raise ValueError("its regions are of images of several sizes, or turned")
    value, (height, width) = result["value"], size
    if result["type"] == "polygonlabels":
        points = [(x * width / 100, y * height / 100) for x, y in value["points"]]
        return fill(points, size=size)
    values = decode(value["rle"], count=height * width * CHANNELS)
    return values.reshape(height, width, CHANNELS)[..., CHANNELS - 1] > 127


def decode(rle: Sequence[int], *, count: int) -> UInt8:
    """Decode Label Studio's run-length code into `count` values.

    Source: as for `app.exports.label_studio.encode`, which is the inverse. A run that starts with 0
    lists its values.

    Raises:
        ValueError: it has another number of values, or ends too early.
    """
    bits, at = "".join(f"{byte:08b}" for byte in bytes(rle)), 0

    def read(width: int) -> int:
        nonlocal at
        at += width
        if at > len(bits):
            raise ValueError("its run lengths end too early")
        return int(bits[at - width : at], 2)

    if read(32) != count:
        raise ValueError(f"its run lengths are not those of {count} values")
    value_bits, widths = read(5) + 1, [read(4) + 1 for _ in RUN_BITS]
    out, done = np.zeros(count, np.uint8), 0
    while done < count:
        repeated, length = read(1), read(widths[read(2)]) + 1
        values = read(value_bits) if repeated else [read(value_bits) for _ in range(length)]
        out[done : done + length] = values
        done += length
    return out
