"""Read a VOC devkit: image lists, masks, and tags from XML files or a tags.csv."""

from collections.abc import Callable
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.core.markup import read_xml
from pipeline.core.tables import read_text
from pipeline.dataset.config import Data, VocData
from pipeline.dataset.entries import Entry, Read
from pipeline.dataset.tag_table import check_tags, read_tags

VOC_NAMES = """
    aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person
    pottedplant sheep sofa train tvmonitor
"""

VOC_CLASSES = tuple(VOC_NAMES.split())


def read_voc(data: Data) -> Read:
    """Read the images of the train and val lists of a devkit.

    `data.tags` is the folder of XML annotations, or a tags.csv with the columns image_id and tags.
    Images without a tag of the class list are left out. An image's mask comes from the first of
    `mask_dirs` that has one.

    Raises:
        UserError: a list, an image or the tags of an image are missing, or a class is not one of
            VOC's.
    """
    options = data.option()
    assert isinstance(options, VocData)
    for name in data.classes:
        if name not in VOC_CLASSES:
            raise UserError(
                f"params.yaml: data.classes: '{name}' is not a VOC class; "
                f"choose from {', '.join(VOC_CLASSES)}"
            )
    classes = data.classes or tuple(VOC_CLASSES)
    tags_of, repairs = (_xml_tags(data.tags), {}) if data.tags.is_dir() else _csv_tags(data.tags)
    entries, left_out = [], 0
    for split, name in (("train", options.train_list), ("val", options.val_list)):
        for key in _voc_list(data.root, name):
            image_tags = tags_of(key)
            tags = tuple(t for t in classes if t in image_tags)
            difficult = tuple(t for t in tags if image_tags[t])
            masks = (data.root / d / f"{key}.png" for d in options.mask_dirs)
            mask = next((m for m in masks if m.exists()), None)
            image = data.root / "JPEGImages" / f"{key}.jpg"
            left_out += not tags
            if tags:
                if not image.exists():
                    raise UserError(
                        f"{image}: not found; put the image there or remove its id from the list"
                    )
                entries.append(Entry(key, image, split, tags, mask, VOC_CLASSES, difficult))
    return Read(entries, classes, {"images without a class of the list": left_out}, repairs)


def _voc_list(root: Path, name: str) -> list[str]:
    """Read the ids of one image list."""
    path = (
        Path(name) if name.endswith(".txt") else (root / "ImageSets/Segmentation" / f"{name}.txt")
    )
    if not path.exists():
        raise UserError(
            f"{path}: list not found; set data.root to the folder that holds JPEGImages"
        )
    ids = [line.split()[0] for line in read_text(path).splitlines() if line.strip()]
    if not ids:
        raise UserError(f"{path}: names no image; write one id per line")
    return ids


# Maps an image id to its tags, and each tag to whether all its objects are marked difficult.
TagsOf = Callable[[str], dict[str, bool]]


def _csv_tags(path: Path) -> tuple[TagsOf, dict[str, int]]:
    """Return a function that looks up an image's tags in a tags.csv, and what was corrected there.

    No tag is difficult there.
    """
    rows, repairs = read_tags(path, id_column="image_id")
    check_tags(path, rows, VOC_CLASSES, fix="not a VOC class; correct the tag")
    tags = {row.id: dict.fromkeys(row.tags, False) for row in rows}

    def tags_of(key: str) -> dict[str, bool]:
        if key not in tags:
            raise UserError(
                f"{path}: no line for image '{key}'; add one or remove its id from the list"
            )
        return tags[key]

    return tags_of, dict(repairs)


def _xml_tags(folder: Path) -> TagsOf:
    """Return a function that reads an image's tags from its XML annotation."""

    def tags_of(key: str) -> dict[str, bool]:
        path, names = folder / f"{key}.xml", dict[str, bool]()
        for item in read_xml(path, hint="add it or set data.tags to a tags.csv").iter("object"):
            name, difficult = item.findtext("name", ""), item.findtext("difficult", "0") == "1"
            names[name] = names.get(name, True) and difficult
        if unknown := sorted(names.keys() - set(VOC_CLASSES)):
            raise UserError(
                f"{path}: object name '{unknown[0]}' is not a VOC class; correct the name"
            )
        return names

    return tags_of
