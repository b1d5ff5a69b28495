"""Find the masks of a folder, and turn the values of a mask into indices of the class list."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from pipeline.core.arrays import VOID, UInt8
from pipeline.core.errors import UserError
from pipeline.dataset.entries import Entry
from pipeline.dataset.image_files import id_of, list_files
from pipeline.dataset.names import matched

NOT_DATA = ("Thumbs.db", "desktop.ini")  # files that a file manager leaves
# What `notes` may say of a mask.
READ_AS_TAG = "masks of 0 and 255, read as background and the image's only tag"
ALL_VOID = "masks that are void everywhere"
NO_OBJECT = "masks without an object, although the image has tags"
OTHER_CLASS = "masks with a class that is not a tag of the image"


def find(root: Path, ids: Collection[str]) -> dict[str, Path]:
    """Map the id of each mask in ROOT/masks to its path. Without that folder, there are none.

    Args:
        root: the folder of the data.
        ids: the ids of all images.

    Raises:
        UserError: the folder has another name, holds a name that is not UTF-8, or holds files and
            none of them is the mask of an image.
    """
    folder = root / "masks"
    if not folder.is_dir():
        for other in root.iterdir():
            if other.is_dir() and other.name.lower() in ("mask", "masks"):
                raise UserError(f"{other}: is not read; rename the folder to masks")
        return {}
    files = list_data(folder)
    masks = {key: path for key, path in by_id(folder).items() if key in ids}
    if files and not masks:
        first = files[0].relative_to(folder)
        raise UserError(
            f"{folder}: none of its {len(files)} files, such as {first}, is the mask of an "
            f"image; save each mask as ID.png, such as {min(ids, default='a')}.png, or remove "
            "the folder"
        )
    return masks


def by_id(folder: Path) -> dict[str, Path]:
    """Map the id of each PNG of a folder and its sub-folders, in the form for comparisons, to it.

    Raises:
        UserError: a name is not UTF-8.
    """
    return {matched(id_of(name)): folder / name for name in list_files(folder, (".png",))}


def count_files(root: Path) -> int:
    """Count the files in ROOT/masks and its sub-folders."""
    return len(list_data(root / "masks"))


def list_data(folder: Path) -> list[Path]:
    """Return the files of a folder and its sub-folders, without those that other tools leave."""
    paths = sorted(folder.rglob("*")) if folder.is_dir() else []
    shown = [p for p in paths if not p.name.startswith(".") and p.name not in NOT_DATA]
    return [path for path in shown if not path.is_dir()]


def values_of(mask_HW: UInt8) -> list[int]:
    """List the values that a mask holds, in ascending order."""
    return np.flatnonzero(np.bincount(mask_HW.ravel(), minlength=256)).tolist()


def index_table(entry: Entry, classes: Sequence[str], values: Sequence[int]) -> UInt8:
    """Return what each value of the mask of `entry` means, as an index of the class list.

    Pixels of classes that are not in `classes` become void. Many tools write 255 for the object,
    and so do black and white PNGs: if a mask has only 0 and 255 and its image one tag, 255 is that
    tag.

    Args:
        entry: an entry with a mask.
        classes: the class list; class i of it gets index i + 1.
        values: the values that the mask holds.

    Returns:
        Table (256,): 0 background, 1.. classes, 255 void.

    Raises:
        UserError: a value has no class.
    """
    table = np.full(256, VOID, np.uint8)
    table[0] = 0
    for i, name in enumerate(entry.mask_classes, 1):
        table[i] = classes.index(name) + 1 if name in classes else VOID
    illegal = [v for v in values if len(entry.mask_classes) < v < VOID]
    if illegal:
        raise UserError(
            f"{entry.mask}: index {illegal[0]} has no class; use 0 to "
            f"{len(entry.mask_classes)}, and {VOID} for void"
        )
    if _is_black_and_white(values) and entry.tags:
        table[VOID] = classes.index(_only_tag(entry)) + 1
    return table


def _is_black_and_white(values: Sequence[int]) -> bool:
    return list(values) == [0, VOID]


def _only_tag(entry: Entry) -> str:
    if len(entry.tags) > 1:
        indices = ", ".join(f"{entry.mask_classes.index(t) + 1} for {t}" for t in entry.tags)
        raise UserError(
            f"{entry.mask}: has only 0 and 255, and its image {len(entry.tags)} tags, so the class "
            f"of 255 is unknown; use {indices}, or remove the mask"
        )
    return entry.tags[0]


def notes(
    entry: Entry, classes: Sequence[str], values: Sequence[int], table: UInt8
) -> tuple[str, ...]:
    """Say what is odd about a mask: how it was read, and where it disagrees with the tags.

    Args:
        entry: an entry with a mask.
        classes: the class list.
        values: the values that the mask holds.
        table: what `index_table` returns for them.
    """
    shown = set(table[list(values)].tolist())
    objects = shown - {0, VOID}
    odd = {
        READ_AS_TAG: _is_black_and_white(values) and bool(objects),
        ALL_VOID: shown == {VOID},
        NO_OBJECT: not objects and shown != {VOID} and bool(entry.tags),
        OTHER_CLASS: bool(objects - {classes.index(t) + 1 for t in entry.tags}),
    }
    return tuple(note for note, holds in odd.items() if holds)
