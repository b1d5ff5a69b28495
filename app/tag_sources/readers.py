"""The readers of tags, and how one is chosen."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.tag_sources import coco, cvat, label_studio, table
from app.tag_sources.tagged import TagList
from pipeline.core import formats
from pipeline.core.errors import MissingFileError, UserError

FOLDERS = "folders"
READERS: dict[str, Callable[[Path], TagList]] = {
    "csv": table.read,
    "coco": coco.read,
    "labelstudio": label_studio.read,
    "cvat": cvat.read,
}
KINDS = (FOLDERS, *READERS)


def detect(path: Path) -> str:
    """Return which of READERS fits a file, by its suffix and its content.

    Raises:
        UserError: the file is missing, or none fits.
    """
    if not path.is_file():
        raise MissingFileError(path, "give the file that holds the tags")
    suffix = path.suffix.lower()
    if suffix == ".json":
        return _kind_of_json(path, formats.read_json(path))
    known = {".xml": "cvat", ".csv": "csv", ".tsv": "csv", ".txt": "csv"}
    if suffix in (".zip", ".gz", ".tgz"):
        raise UserError(f"{path}: is an archive; unpack it, and give the file of annotations in it")
    if suffix not in known:
        raise UserError(f"{path}: unknown kind of file; add --tags-from {'|'.join(READERS)}")
    return known[suffix]


def _kind_of_json(path: Path, content: Any) -> str:
    if isinstance(content, list):
        return "labelstudio"
    if isinstance(content, dict) and "images" in content:
        return "coco"
    raise UserError(
        f"{path}: neither COCO, which has images and annotations, nor a list of tasks of Label "
        "Studio; give another file"
    )
