"""What a source of data holds: entries, one an image, and the class list."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """One image as its source names it; `mask_classes[i]` is the name of mask index i + 1.

    `difficult`: tags whose every object is hard to see, learned from but not scored.
    """

    id: str
    image: Path
    split: str
    tags: tuple[str, ...]
    mask: Path | None
    mask_classes: tuple[str, ...]
    difficult: tuple[str, ...] = ()


@dataclass(frozen=True)
class Read:
    """What a source holds: entries, the class list, and how many images were left out, and why."""

    entries: list[Entry]
    classes: tuple[str, ...]
    left_out: dict[str, int]


def words(tags: str) -> list[str]:
    """Tags as people write them, with blanks or commas between."""
    return tags.replace(",", " ").replace(";", " ").split()
