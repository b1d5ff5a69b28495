"""Read the boxes of objects and their classes from a file in COCO format."""

import json
from collections.abc import Sequence
from pathlib import Path

from pipeline.boxes.grabcut import Box
from pipeline.core import formats
from pipeline.core.errors import UserError

SAME_CLASS = {  # COCO's name of a class -> VOC's name
    "airplane": "aeroplane",
    "motorcycle": "motorbike",
    "couch": "sofa",
    "tv": "tvmonitor",
    "dining table": "diningtable",
    "potted plant": "pottedplant",
}
Objects = list[tuple[str, Box]]  # the class and the box of each object


def voc_name(name: str) -> str:
    """Return VOC's name of a class that COCO may name differently."""
    return SAME_CLASS.get(name, name)


def read_coco(path: Path) -> list[tuple[str, Objects]]:
    """Read a file in COCO format: the file name of each image, and its objects.

    Classes have VOC's names.

    Raises:
        UserError: the file is missing or incomplete.
    """
    coco = formats.read_json(path)
    try:
        names = {c["id"]: voc_name(c["name"]) for c in coco["categories"]}
        objects: dict[int, Objects] = {i["id"]: [] for i in coco["images"]}
        for a in coco["annotations"]:
            objects[a["image_id"]].append((names[a["category_id"]], _whole(a["bbox"])))
        return [(i["file_name"], objects[i["id"]]) for i in coco["images"]]
    except (KeyError, TypeError, ValueError, json.JSONDecodeError) as e:
        raise UserError(
            f"{path}: not in COCO format (at {e}); it needs images, categories, and "
            "annotations with bbox [x, y, width, height]"
        ) from e


def _whole(bbox: Sequence[float]) -> Box:
    """Round a box to whole pixels, with sides of at least 1 px."""
    x, y, w, h = bbox
    return round(x), round(y), max(1, round(w)), max(1, round(h))
