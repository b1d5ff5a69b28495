"""Read the user's own folder: images/, tags.csv and optionally masks/."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from pipeline.core.errors import UserError, listing
from pipeline.core.formats import SUFFIXES
from pipeline.dataset import masks
from pipeline.dataset.config import Data
from pipeline.dataset.entries import Entry, Read
from pipeline.dataset.image_files import id_of, list_files, without_suffix
from pipeline.dataset.names import fault_of, matched
from pipeline.dataset.tag_table import Row, check_tags, read_tags


def read_folder(data: Data) -> Read:
    """Read tags.csv and match its lines with the files in images/ and masks/.

    tags.csv has the columns id, tags and optionally split. An id is the path of an image below
    images/, without its suffix. A mask is masks/ID.png; index i + 1 in it is class i of the class
    list. Without data.classes, the class list is all tags in alphabetical order.

    Raises:
        UserError: images/ is missing, a line of tags.csv is wrong or has no image, a tag is outside
            data.classes, or no image of train has a tag.
    """
    rows, repairs = read_tags(data.tags, id_column="id")
    classes = _classes(data, rows)
    images = _by_id(data.root / "images", SUFFIXES)
    mask_of = masks.find(data.root, images)
    paths = _images_of(data, rows, images)
    val = val_ids([row.id for row in rows], getattr(data.option(), "val_fraction", 0.0))
    entries = []
    for row, path in zip(rows, paths, strict=True):
        split = row.split or ("val" if row.id in val else "train")
        name = _relative(path, data)
        key = id_of(name)
        repairs["ids that differ from their file names"] += row.id != without_suffix(name)
        entries.append(Entry(key, path, split, row.tags, mask_of.get(matched(key)), classes))
    check_train(data, rows, entries)
    used = sum(entry.mask is not None for entry in entries)
    left_out = {
        "images without a line in tags.csv": len(images) - len(rows),
        "files in masks/ that fit no line of tags.csv": masks.count_files(data.root) - used,
    }
    return Read(entries, classes, left_out, dict(+repairs))


def _classes(data: Data, rows: Sequence[Row]) -> tuple[str, ...]:
    """Return data.classes, or all tags if it is empty.

    Raises:
        UserError: a tag is not in data.classes, or cannot be the name of a class.
    """
    if data.classes:
        fix = "not in data.classes; correct the tag or add the class"
        check_tags(data.tags, rows, data.classes, fix=fix)
        return data.classes
    first = {tag: row.line for row in reversed(rows) for tag in row.tags}
    if fault := fault_of({tag: f"{tag!r} (line {line})" for tag, line in sorted(first.items())}):
        raise UserError(f"{data.tags}: {fault}")
    return tuple(sorted(first))


def _images_of(data: Data, rows: Sequence[Row], images: Mapping[str, Path]) -> list[Path]:
    """Return the image of each row. An id with the suffix of its image counts as the id.

    Raises:
        UserError: a row has no image.
    """
    by_name = {matched(_relative(path, data)): path for path in images.values()}
    paths = [images.get(matched(r.id)) or by_name.get(matched(r.id)) for r in rows]
    if missing := [row for row, path in zip(rows, paths, strict=True) if path is None]:
        folder = data.root / "images"
        files = [_relative(path, data) for path in sorted(folder.rglob("*"))]
        others = {matched(key): name for name in files for key in _names(name)}
        named = [
            row.name + (f", though {others[key]} exists" if key in others else "")
            for row in missing
            for key in [matched(_without_suffix(row.id))]
        ]
        raise UserError(
            f"{data.tags}: no image in {folder} for id {listing(named)}; add ID with one of the "
            f"suffixes {' '.join(SUFFIXES)}, or remove the line"
        )
    return [path for path in paths if path]


def check_train(data: Data, rows: Sequence[Row], entries: Sequence[Entry]) -> None:
    """Check that train has images, and that one of them has a tag.

    Raises:
        UserError: train has none.
    """
    train = [entry for entry in entries if entry.split == "train"]
    if not train and all(row.split for row in rows):
        raise UserError(
            f"{data.tags}: split 'train' has no image, as all of them say val; write train in some"
        )
    if not train:
        raise UserError(
            f"params.yaml: data.options.{data.source}.val_fraction: split 'train' has no image, as "
            f"all {len(entries)} are drawn for val; lower the fraction"
        )
    if not any(entry.tags for entry in train):
        raise UserError(f"{data.tags}: no image of split 'train' has a tag; write tags")


def val_ids(ids: Sequence[str], fraction: float) -> set[str]:
    """Draw the ids of the val split; the draw does not depend on the order of the lines."""
    order = np.random.default_rng(0).permutation(len(ids))
    return {sorted(ids)[i] for i in order[: round(fraction * len(ids))]}


def _by_id(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """Map the id of each file in `folder`, in the form for comparisons, to the file.

    Raises:
        UserError: there is no such folder, two files have one id, or a name is not UTF-8.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: folder not found; put the images there or set data.root")
    groups: dict[str, list[str]] = {}
    for name in list_files(folder, suffixes):
        groups.setdefault(matched(id_of(name)), []).append(name)
    double = [" and ".join(names) for names in groups.values() if len(names) > 1]
    if double:
        raise UserError(
            f"{folder}: duplicate id of the files {listing(double)}; rename all but one"
        )
    return {key: folder / names[0] for key, names in groups.items()}


def _relative(path: Path, data: Data) -> str:
    """Return the path of an image below images/."""
    return path.relative_to(data.root / "images").as_posix()


def _names(name: str) -> tuple[str, ...]:
    """Return the ids under which people may look for a file."""
    path = PurePosixPath(name)
    return name, without_suffix(name), path.name, path.stem


def _without_suffix(key: str) -> str:
    stem, suffix = os.path.splitext(key)
    return stem if suffix.lower() in SUFFIXES else key
