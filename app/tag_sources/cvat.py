"""Tags from CVAT's format "CVAT for images 1.1": image tags, and the labels of shapes."""

import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

from app.tag_sources.tagged import Tagged, TagList, tag_list, tag_of
from pipeline.core.errors import UserError
from pipeline.core.markup import read_xml

NO_NAME = "images without a name"


def read(path: Path) -> TagList:
    """Read the annotations.xml of an export of CVAT.

    Raises:
        UserError: the file is missing, is not valid XML, or is another export.
    """
    return tags_of_images(read_images(path))


def read_images(path: Path) -> list[ET.Element]:
    """Read the <image> elements of the annotations.xml of an export of CVAT.

    Raises:
        UserError: the file is missing, is not valid XML, or is another export.
    """
    root = read_xml(path, hint="unpack the archive that CVAT exported, and give annotations.xml")
    if root.tag != "annotations" or root.find("image") is None:
        raise UserError(
            f"{path}: has no images of CVAT; export the task again as `CVAT for images 1.1`"
        )
    return root.findall("image")


def tags_of_images(images: list[ET.Element]) -> TagList:
    """Return the tags of each image: the labels of its <tag>, <box>, <mask> and other shapes."""
    named = [image for image in images if image.get("name")]
    rows = [Tagged(image.get("name", ""), _tags(image), _split(image)) for image in named]
    return tag_list(rows, Counter({NO_NAME: len(images) - len(named)}))


def _tags(image: ET.Element) -> tuple[str, ...]:
    return tuple(tag_of(child.get("label", "")) for child in image)


def _split(image: ET.Element) -> str:
    """Return the split for CVAT's subset, which people choose for a whole task."""
    return {"train": "train", "validation": "val", "val": "val"}.get(
        image.get("subset", "").lower(), ""
    )
