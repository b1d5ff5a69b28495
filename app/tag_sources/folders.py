"""Tags from folders: images/dog/x.jpg has the tag dog."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from app.tag_sources.tagged import Tagged, TagList, tag_list, tag_of

# The folders that divide a data set, as torchvision's ImageFolder and other tools name them
SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "val"}
NO_FOLDER = "images that lie in no class folder"
COPIES = "copies of an image in several class folders, whose tags are joined"


def tags_of_folders(images: Iterable[str], same: Mapping[str, str] | None = None) -> TagList:
    """Take the folder of each image as its tag.

    If the first folders are those of splits, such as train and val, the class is the next one.
    Deeper folders change nothing.

    Args:
        images: the path of each image, relative to the folder of all images.
        same: the path of the first image with the same content, for each image that is a copy.
    """
    paths, same = [PurePosixPath(image) for image in images], same or {}
    tops = {path.parts[0] for path in paths if len(path.parts) > 1}
    divided = bool(tops) and all(top.lower() in SPLITS for top in tops)
    rows, dropped = list[Tagged](), Counter[str]()
    for path in paths:
        *folders, _ = path.parts
        split = SPLITS[folders.pop(0).lower()] if divided and folders else ""
        if not folders:
            dropped[NO_FOLDER] += 1
            continue
        dropped[COPIES] += str(path) in same
        rows.append(Tagged(same.get(str(path), str(path)), (tag_of(folders[0]),), split))
    return TagList(tag_list(rows).rows, +dropped)
