"""A VOC devkit: lists, tags from XML or a tags.csv, masks."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.dataset.config import Data, VocData
from pipeline.dataset.entries import Entry, Read, words

VOC_NAMES = """
    aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person
    pottedplant sheep sofa train tvmonitor
"""

VOC_CLASSES = tuple(VOC_NAMES.split())


def read_voc(data: Data) -> Read:
    """The devkit's layout; masks in the first of `mask_dirs` that has one."""
    options = data.option()
    assert isinstance(options, VocData)
    for name in data.classes:
        if name not in VOC_CLASSES:
            raise UserError(f"params.yaml: data.classes: '{name}' is no VOC class")
    classes = data.classes or tuple(VOC_CLASSES)
    tags_of = _xml_tags(data.tags) if data.tags.is_dir() else _csv_tags(data.tags)
    entries, without = [], 0
    for split, name in (("train", options.train_list), ("val", options.val_list)):
        for key in _voc_list(data.root, name):
            found = tags_of(key)
            tags = tuple(t for t in classes if t in found)
            difficult = tuple(t for t in tags if found[t])
            masks = (data.root / d / f"{key}.png" for d in options.mask_dirs)
            mask = next((m for m in masks if m.exists()), None)
            image = data.root / "JPEGImages" / f"{key}.jpg"
            without += not tags
            if tags:
                if not image.exists():
                    raise UserError(f"{image}: not found; put it there or take it off the list")
                entries.append(Entry(key, image, split, tags, mask, VOC_CLASSES, difficult))
    return Read(entries, classes, {"images without a class of the list": without})


def _voc_list(root: Path, name: str) -> list[str]:
    path = (
        Path(name) if name.endswith(".txt") else (root / "ImageSets/Segmentation" / f"{name}.txt")
    )
    if not path.exists():
        raise UserError(
            f"{path}: list not found; set data.root to the folder that holds JPEGImages"
        )
    return [line.split()[0] for line in path.read_text().splitlines() if line.strip()]


TagsOf = Callable[[str], dict[str, bool]]  # image -> tag -> whether every such object is difficult


def _csv_tags(path: Path) -> TagsOf:
    rows = formats.read_table(path, columns=("image_id", "tags"))
    tags = {r["image_id"]: dict.fromkeys(words(r["tags"]), False) for r in rows}
    for key, names in tags.items():
        if unknown := sorted(names.keys() - set(VOC_CLASSES)):
            raise UserError(f"{path}: id '{key}': tag '{unknown[0]}' is no VOC class")

    def of(key: str) -> dict[str, bool]:
        if key not in tags:
            raise UserError(f"{path}: no line for image '{key}'")
        return tags[key]

    return of


def _xml_tags(folder: Path) -> TagsOf:
    def of(key: str) -> dict[str, bool]:
        path, names = folder / f"{key}.xml", dict[str, bool]()
        try:
            for each in ET.parse(path).getroot().iter("object"):
                name, difficult = each.findtext("name", ""), each.findtext("difficult", "0") == "1"
                names[name] = names.get(name, True) and difficult
        except FileNotFoundError as e:
            raise UserError(f"{path}: not found; data.tags may be a tags.csv instead") from e
        except ET.ParseError as e:
            raise UserError(f"{path}: not valid XML ({e})") from e
        if unknown := sorted(names.keys() - set(VOC_CLASSES)):
            raise UserError(f"{path}: object name '{unknown[0]}' is no VOC class")
        return names

    return of
