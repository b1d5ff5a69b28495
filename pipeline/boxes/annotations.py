"""Read the boxes of objects and their classes: a file in COCO format, or VOC's XML files."""

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath

from pipeline.boxes.grabcut import Box
from pipeline.boxes.labels import ClassBoxes
from pipeline.core import formats
from pipeline.core.errors import MissingFileError, UserError, listing
from pipeline.core.markup import read_xml
from pipeline.core.samples import Sample

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
        UserError: the file is missing or incomplete, two images or classes have one id, or all
            boxes are fractions of an image.
    """
    coco, part = formats.read_json(path), "images and categories"
    try:
        names = {c["id"]: voc_name(_text(c["name"])) for c in coco["categories"]}
        files = [(i["id"], _text(i["file_name"])) for i in coco["images"]]
        objects: dict[int, Objects] = {key: [] for key, _ in files}
        for n, a in enumerate(coco["annotations"]):
            part = f"annotations[{n}]"
            objects[a["image_id"]].append((names[a["category_id"]], _whole(a["bbox"])))
    except (KeyError, TypeError, ValueError, OverflowError) as e:
        raise UserError(
            f"{path}: not in COCO format (at {e} in {part}); it needs images, categories, and "
            "annotations with bbox [x, y, width, height]"
        ) from e
    _check_ids(path, "images", [key for key, _ in files])
    _check_ids(path, "categories", [c["id"] for c in coco["categories"]])
    if coco["annotations"] and all(max(a["bbox"]) <= 1 for a in coco["annotations"]):
        raise UserError(f"{path}: all boxes are at most 1 px large; write px, not fractions")
    return [(name, objects[key]) for key, name in files]


def _check_ids(path: Path, kind: str, ids: Sequence[object]) -> None:
    if double := [repr(key) for key, n in Counter(ids).items() if n > 1]:
        raise UserError(f"{path}: several {kind} have the id {listing(double)}; keep one of them")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r}, which is not a text")
    return value


def _whole(bbox: Sequence[float]) -> Box:
    """Round a box to whole pixels, with sides of at least 1 px.

    Raises:
        ValueError: a side is negative, such as of corners in the wrong order.
    """
    x, y, w, h = (round(1.0 * side) for side in bbox)  # 1.0: refuses numbers beyond a float
    if min(w, h) < 0:
        raise ValueError(f"{list(bbox)}, whose width or height is negative,")
    return x, y, max(1, w), max(1, h)


def read_voc(path: Path) -> Objects:
    """Read the objects of one image from its XML annotation.

    VOC counts pixels from 1, and its maxima lie inside the box.

    Raises:
        UserError: the file is missing, is not valid XML, or has an object without a box.
    """
    root = read_xml(path, hint="add it, or set boxes.path to a file in COCO format")
    try:
        return [(item.findtext("name", "").strip(), _voc_box(item)) for item in root.iter("object")]
    except (TypeError, ValueError, OverflowError) as e:
        raise UserError(
            f"{path}: an object has no bndbox with xmin, ymin, xmax and ymax, or its minimum is "
            "above its maximum; correct it"
        ) from e


def _voc_box(item: ET.Element) -> Box:
    names = ("xmin", "ymin", "xmax", "ymax")
    left, top, right, bottom = (float(item.findtext(f"bndbox/{name}", "")) for name in names)
    return _whole((left - 1, top - 1, right - left + 1, bottom - top + 1))


def read_class_boxes(
    path: Path, samples: Sequence[Sample], classes: Sequence[str]
) -> dict[str, ClassBoxes]:
    """Read the boxes of each sample, by its id. Boxes of classes outside the list are left out.

    Args:
        path: a file in COCO format, whose file names are the ids with a suffix; or the folder of
            VOC's XML annotations.
        samples: the images to read the boxes of.
        classes: the class list.

    Raises:
        UserError: a file is missing or incomplete, an image has a tag without a box, or a box lies
            outside its image.
    """
    if not path.exists():
        raise MissingFileError(path, "add the boxes, or correct boxes.path")
    objects = _xml_objects(path, samples) if path.is_dir() else _coco_objects(path, samples)
    index = {voc_name(name): i for i, name in enumerate(classes, 1)}
    boxes = dict[str, ClassBoxes]()
    for s in samples:
        pairs = [(voc_name(name), box) for name, box in objects.get(s.id, [])]
        if missing := {voc_name(tag) for tag in s.tags} - {name for name, _ in pairs}:
            raise UserError(
                f"{path}: image '{s.id}' has the tag '{min(missing)}' but no box of this class; "
                "add the box or remove the tag"
            )
        boxes[s.id] = tuple((index[name], box) for name, box in pairs if name in index)
        each = [box for _, box in boxes[s.id]]
        check_inside(path, s.id, each, height_px=s.height_px, width_px=s.width_px)
    return boxes


def check_inside(
    path: Path, name: str, boxes: Sequence[Box], *, height_px: int, width_px: int
) -> None:
    """Check that the centre of each box of an image lies inside it. Its border may not.

    Raises:
        UserError: a centre lies outside, as if the boxes were drawn in a larger image.
    """
    for box in boxes:
        x, y, w, h = box
        if not (0 <= 2 * x + w <= 2 * width_px and 0 <= 2 * y + h <= 2 * height_px):
            raise UserError(
                f"{path}: image '{name}' has {width_px}x{height_px} px, but a box at {list(box)}; "
                "correct the box, or use images of the size in which the boxes were drawn"
            )


def _xml_objects(folder: Path, samples: Sequence[Sample]) -> dict[str, Objects]:
    return {s.id: read_voc(folder / f"{s.id}.xml") for s in samples}


def _coco_objects(path: Path, samples: Sequence[Sample]) -> dict[str, Objects]:
    """Read the objects of every image of a COCO file, by the image's id.

    Raises:
        UserError: the file lists two images of one id.
    """
    ids, objects = {s.id for s in samples}, []
    for name, each in read_coco(path):
        inner = PureWindowsPath(name)  # splits at both kinds of slashes
        key = (inner.parent / inner.stem).as_posix()
        objects.append((key if key in ids else inner.stem, each))
    counts = Counter(key for key, _ in objects)
    if double := [s.id for s in samples if counts[s.id] > 1]:
        raise UserError(f"{path}: lists two images called '{double[0]}'; remove or rename one")
    return dict(objects)
