"""Read a VOC devkit: image lists, masks, and tags from XML files or a tags.csv."""

from collections.abc import Callable
from pathlib import Path

from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.markup import read_xml
from pipeline.dataset.config import Data, VocData
from pipeline.dataset.entries import Entry, Read, words

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
    read_tags = _xml_tags(data.tags) if data.tags.is_dir() else _csv_tags(data.tags)
    entries, left_out = [], 0
    for split, name in (("train", options.train_list), ("val", options.val_list)):
        for key in _voc_list(data.root, name):
            image_tags = read_tags(key)
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
    return Read(entries, classes, {"images without a class of the list": left_out})


def _voc_list(root: Path, name: str) -> list[str]:
    """Read the ids of one image list."""
    path = (
        Path(name) if name.endswith(".txt") else (root / "ImageSets/Segmentation" / f"{name}.txt")
    )
    if not path.exists():
        raise UserError(
            f"{path}: list not found; set data.root to the folder that holds JPEGImages"
        )
    return [line.split()[0] for line in path.read_text().splitlines() if line.strip()]


# Maps an image id to its tags, and each tag to whether all its objects are marked difficult.
TagsOf = Callable[[str], dict[str, bool]]


def _csv_tags(path: Path) -> TagsOf:
    """Return a function that looks up an image's tags in a tags.csv; no tag is difficult there."""
    rows = formats.read_table(path, columns=("image_id", "tags"))
    tags = {r["image_id"]: dict.fromkeys(words(r["tags"]), False) for r in rows}
    for key, names in tags.items():
        if unknown := sorted(names.keys() - set(VOC_CLASSES)):
            raise UserError(
                f"{path}: id '{key}': tag '{unknown[0]}' is not a VOC class; correct the tag"
            )

    def tags_of(key: str) -> dict[str, bool]:
        if key not in tags:
            raise UserError(
                f"{path}: no line for image '{key}'; add one or remove its id from the list"
            )
        return tags[key]

    return tags_of


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
