"""COCO's file of annotations: one for each class of an image, as run lengths or polygons."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from app.exports.files import Format, place_image, write_json
from app.exports.outlines import polygons
from app.exports.source import Masked, Source
from pipeline.core.arrays import Mask, UInt8


def run_lengths(mask_HW: Mask) -> dict[str, Any]:
    """Encode a mask (H, W) as COCO's compressed RLE.

    The numbers are lengths of runs down the columns, from a run of zeros that may be empty. After
    the third, each is stored as its difference to the number two before.

    Source: rleToString in pycocotools' maskApi.c. A number is split into groups of 5 bits, the
    lowest first; bit 6 says that another group follows; 48 makes it a printable character.
    """
    flat = mask_HW.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat, prepend=False))
    counts = np.diff(edges, prepend=0, append=flat.size).tolist()
    numbers = [n - counts[i - 2] if i > 2 else n for i, n in enumerate(counts)]
    return {"size": list(mask_HW.shape), "counts": "".join(map(_characters, numbers))}


def _characters(number: int) -> str:
    text, more = "", True
    while more:
        group, number = number & 31, number >> 5
        more = number != (-1 if group & 16 else 0)
        text += chr(48 + (group | 32 * more))
    return text


def _flat_polygons(mask_HW: Mask) -> list[list[int]]:
    """Return the outlines of a mask as COCO writes them: x, y, x, y, ..."""
    return [polygon.ravel().tolist() for polygon in polygons(mask_HW)]


def add(
    image: Masked, label_HW: UInt8, folder: Path, *, encode: Callable[[Mask], Any]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Write the image; return its entry and its annotations, without their numbers."""
    name = place_image(image, label_HW, folder / "images")
    height, width = label_HW.shape
    indices = [int(index) for index in np.unique(label_HW) if index]
    annotations = [annotation(index, label_HW == index, encode) for index in indices]
    return {"file_name": name, "width": width, "height": height}, annotations


def annotation(index: int, mask_HW: Mask, encode: Callable[[Mask], Any]) -> dict[str, Any]:
    """Describe the mask of one class index, without the numbers of annotation and image."""
    rows, columns = np.flatnonzero(mask_HW.any(axis=1)), np.flatnonzero(mask_HW.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    return {
        "category_id": index,
        "segmentation": encode(mask_HW),
        "area": int(mask_HW.sum()),
        "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
        "iscrowd": 0,
    }


def add_masks(image: Masked, label_HW: UInt8, folder: Path) -> Any:
    """Add an image with its masks as run lengths, which are exact."""
    return add(image, label_HW, folder, encode=run_lengths)


def add_polygons(image: Masked, label_HW: UInt8, folder: Path) -> Any:
    """Add an image with the outlines of its masks, within the tolerance of `outlines`."""
    return add(image, label_HW, folder, encode=_flat_polygons)


def finish(source: Source, entries: Sequence[Any], folder: Path) -> None:
    """Write annotations/instances_default.json. Categories are the class indices, from 1."""
    images = [{"id": i, **image} for i, (image, _) in enumerate(entries, 1)]
    annotations = [
        {"image_id": i, **annotation}
        for i, (_, of_image) in enumerate(entries, 1)
        for annotation in of_image
    ]
    categories = [
        {"id": index, "name": name, "supercategory": ""}
        for index, name in enumerate(source.classes)
        if index
    ]
    content = {
        "images": images,
        "annotations": [{"id": i, **annotation} for i, annotation in enumerate(annotations, 1)],
        "categories": categories,
    }
    write_json(folder / "annotations/instances_default.json", content)


FORMAT = Format(add_masks, finish)
POLYGONS = Format(add_polygons, finish)
