"""Tags from a table: a line for each image, or for each tag of an image."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from app.tag_sources.tagged import Tagged, TagList, tag_list
from pipeline.core import tables
from pipeline.core.errors import UserError, at_lines, listing
from pipeline.dataset.names import words
from pipeline.dataset.tag_table import SPLITS

# What people call the columns, the preferred name first
IMAGE_COLUMNS = ("id", "image", "image_id", "file", "filename", "file_name", "path", "name")
TAG_COLUMNS = ("tags", "tag", "labels", "label", "classes", "class", "category", "categories")
NO_IMAGE = "lines that name no image"


def read(path: Path) -> TagList:
    """Read a table with a column for the image and one for its tags. A column split is optional.

    Commas, semicolons or tabs separate the columns. Blanks, commas, semicolons or bars separate
    the tags of a field.

    Raises:
        UserError: the table cannot be read, a column is missing, or a split is unknown.
    """
    image, tags = columns_of(path, tables.read_text(path, hint="it holds the tags of each image"))
    table = tables.read(path, columns=(image, tags))
    rows, dropped = list[Tagged](), Counter[str]()
    for values in table.rows:
        if not values[image]:
            dropped[NO_IMAGE] += 1
            continue
        names = tuple(words(values[tags].replace("|", " ")))
        rows.append(Tagged(values[image], names, values.get("split", "").lower()))
    _check_splits(path, table.lines, [v.get("split", "").lower() for v in table.rows])
    return tag_list(rows, dropped)


def columns_of(path: Path, text: str) -> tuple[str, str]:
    """Return the names of the columns with the image and with the tags, as the file writes them.

    Raises:
        UserError: one of the two is missing.
    """
    first = next((line for line in text.splitlines() if line.strip(" ,;\t")), "")
    for separator in tables.SEPARATORS:
        names = {name.strip(' "').lower(): name.strip(' "') for name in first.split(separator)}
        image = next((names[known] for known in IMAGE_COLUMNS if known in names), None)
        tags = next((names[known] for known in TAG_COLUMNS if known in names), None)
        if image and tags:
            return image, tags
    raise UserError(
        f"{path}: the first line names no column for the image, such as id, or none for its tags; "
        f"write id,tags there (got {first[:60]!r})"
    )


def _check_splits(path: Path, lines: Sequence[int], splits: Sequence[str]) -> None:
    pairs = zip(lines, splits, strict=True)
    if wrong := [line for line, split in pairs if split not in ("", *SPLITS)]:
        named = listing(sorted({s for s in splits if s not in ("", *SPLITS)}))
        raise UserError(f"{path}: {at_lines(wrong)}: split {named}: must be train or val")
