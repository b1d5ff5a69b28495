"""Tags from Label Studio's JSON export: the choices, and the labels of drawn regions."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.tag_sources.tagged import Tagged, TagList, tag_list, tag_of
from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.formats import SUFFIXES

# The field of a result's value that lists class names, by the type of the result
FIELDS = (
    "choices", "rectanglelabels", "polygonlabels", "brushlabels", "ellipselabels",
    "keypointlabels", "labels",
)  # fmt: skip
NOT_ANNOTATED = "tasks that nobody has annotated"
SKIPPED = "annotations that were skipped"
NO_IMAGE = "tasks without an image"


def read(path: Path) -> TagList:
    """Read a file that Label Studio exported as JSON.

    Raises:
        UserError: the file is missing, is not JSON, or is another export.
    """
    with in_format(path):
        return tags_of_tasks(formats.read_json(path))


@contextmanager
def in_format(path: Path) -> Iterator[None]:
    """Say that a file is another export where a field is missing, or of another kind."""
    try:
        yield
    except (KeyError, TypeError, AttributeError) as e:
        raise UserError(
            f"{path}: not an export of Label Studio (at {e}); choose JSON when you export, not "
            "JSON-MIN"
        ) from e


def tasks_of(content: Any) -> list[dict[str, Any]]:
    """Return the tasks of an export.

    Raises:
        TypeError: the content is no list.
    """
    if not isinstance(content, list):
        raise TypeError("the outermost value, which is not a list")
    return content


def annotations_of(task: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the annotations of a task that nobody has skipped."""
    return [a for a in task["annotations"] if not a.get("was_cancelled")]


def tags_of_tasks(tasks: list[dict[str, Any]]) -> TagList:
    """Return the tags of each task's image. The tags of several annotators are joined.

    A task without an annotation is left out, because nobody has said what its image shows.

    Raises:
        KeyError, TypeError, AttributeError: the tasks are not those of Label Studio.
    """
    rows, dropped = list[Tagged](), Counter[str]()
    for task in tasks_of(tasks):
        annotations = annotations_of(task)
        dropped[SKIPPED] += len(task["annotations"]) - len(annotations)
        image = image_of(task["data"])
        if not annotations:
            dropped[NOT_ANNOTATED] += 1
        elif not image:
            dropped[NO_IMAGE] += 1
        else:
            tags = [tag for a in annotations for result in a["result"] for tag in _tags(result)]
            rows.append(Tagged(image, tuple(tags)))
    return tag_list(rows, dropped)


def _tags(result: dict[str, Any]) -> Iterator[str]:
    """Yield the tags that one result of an annotation names."""
    value = result.get("value", {})
    for field in FIELDS:
        names = value.get(field, [])
        if not isinstance(names, list):
            raise TypeError(f"{names!r}, which is not a list")
        yield from map(tag_of, names)


def image_of(data: dict[str, Any]) -> str:
    """Return the first value of a task's data that looks like an image; "" if none does.

    A project may give this value any name.
    """
    for value in data.values():
        if isinstance(value, str):
            without_query = value.partition("?")[0]
            if value.lower().endswith(SUFFIXES) or without_query.lower().endswith(SUFFIXES):
                return value
    return ""
