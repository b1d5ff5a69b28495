"""What a data source contains: an entry for each image, and the class list."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """One image as its source describes it.

    `mask_classes[i]` is the name of mask index i + 1. `difficult` lists the tags for which every
    object in the image is hard to see: training uses these tags, but scoring skips them.
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
    """The contents of a data source.

    `left_out` maps each reason for leaving files out to the number of these files. `repairs` maps
    each kind of correction to how often it was made.
    """

    entries: list[Entry]
    classes: tuple[str, ...]
    left_out: dict[str, int]
    repairs: dict[str, int]
