"""Tags from COCO annotations: the categories that an image's annotations name."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.tag_sources.tagged import Tagged, TagList, tag_list, tag_of
from pipeline.core import formats
from pipeline.core.errors import UserError

NO_IMAGE = "annotations whose image the file does not list"
NO_CATEGORY = "annotations whose category the file does not list"


def read(path: Path) -> TagList:
    """Read a file in COCO format.

    Raises:
        UserError: the file is missing, is not JSON, or is not in COCO format.
    """
    with in_format(path):
        return tags_of_coco(formats.read_json(path))


@contextmanager
def in_format(path: Path) -> Iterator[None]:
    """Say that a file is not in COCO format where a field is missing, or of another kind."""
    try:
        yield
    except (KeyError, TypeError, AttributeError) as e:
        raise UserError(
            f"{path}: not in COCO format (at {e}); it needs images with id and file_name, "
            "categories with id and name, and annotations with image_id and category_id"
        ) from e


def tags_of_coco(content: dict[str, Any]) -> TagList:
    """Return the tags of each image of COCO's annotations. An image without one has no tags.

    Raises:
        KeyError, TypeError, AttributeError: the content is not in COCO format.
    """
    tags = {category["id"]: tag_of(category["name"]) for category in content["categories"]}
    of_image: dict[Any, list[str]] = {image["id"]: [] for image in content["images"]}
    dropped = Counter[str]()
    for annotation in content["annotations"]:
        image, category = annotation["image_id"], annotation["category_id"]
        if image not in of_image:
            dropped[NO_IMAGE] += 1
        elif category not in tags:
            dropped[NO_CATEGORY] += 1
        else:
            of_image[image].append(tags[category])
    rows = [Tagged(_text(i["file_name"]), tuple(of_image[i["id"]])) for i in content["images"]]
    return tag_list(rows, dropped)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r}, which is not a text")
    return value
