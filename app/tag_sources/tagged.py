"""What a reader of tags returns, and the rule that makes a tag of a class name."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

NAMED_TWICE = "images named on several lines, whose tags are joined"


@dataclass(frozen=True)
class Tagged:
    """The tags of one image.

    `image` names the image as its file does: a path, a file name or a URL. `split` is empty if the
    file names none.
    """

    image: str
    tags: tuple[str, ...]
    split: str = ""


@dataclass(frozen=True)
class TagList:
    """The images of a file in its order, each once, and what the reader left out or joined."""

    rows: list[Tagged]
    dropped: Counter[str]


def tag_of(name: str) -> str:
    """Return the tag for a class name. A tag is one word, so `polar bear` becomes polar_bear."""
    return "_".join(name.replace(",", " ").replace(";", " ").split())


def tag_list(rows: Iterable[Tagged], dropped: Counter[str] | None = None) -> TagList:
    """Join the rows of each image. Its tags keep their order, and its first split counts."""
    counts, first = Counter(dropped or {}), dict[str, Tagged]()
    for row in rows:
        old = first.get(row.image)
        if old is not None:
            counts[NAMED_TWICE] += 1
            row = Tagged(row.image, old.tags + row.tags, old.split or row.split)  # noqa: PLW2901
        once = tuple(dict.fromkeys(tag for tag in row.tags if tag))
        first[row.image] = Tagged(row.image, once, row.split)
    return TagList(list(first.values()), +counts)
