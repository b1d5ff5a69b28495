"""Read the user's own folder: images/, tags.csv and optionally masks/."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.formats import SUFFIXES
from pipeline.dataset import masks
from pipeline.dataset.config import Data
from pipeline.dataset.entries import Entry, Read, words


def read_folder(data: Data) -> Read:
    """Read tags.csv and match its lines with the files in images/ and masks/.

    tags.csv has the columns id, tags and optionally split. A mask is masks/ID.png; index i + 1 in
    it is class i of the class list. Without data.classes, the class list is all tags in
    alphabetical order.

    Raises:
        UserError: images/ is missing, or a line of tags.csv has no image, an unknown split or a
            tag outside data.classes; or masks/ holds files and none of them fits an image.
    """
    options = data.option()
    rows = formats.read_table(data.tags, columns=("id", "tags"))
    images = _by_stem(data.root / "images", SUFFIXES)
    mask_of = masks.find(data.root, images)
    classes = data.classes or tuple(sorted({t for r in rows for t in words(r["tags"])}))
    entries = []
    val = _val_ids([r["id"] for r in rows], getattr(options, "val_fraction", 0.0))
    for row in rows:
        key = row["id"]
        if key not in images:
            raise UserError(
                f"{data.tags}: id '{key}' has no image {data.root}/images/{key}.*; "
                "add the image or remove the line"
            )
        split = row.get("split") or ("val" if key in val else "train")
        if split not in ("train", "val"):
            raise UserError(f"{data.tags}: id '{key}': split '{split}' must be train or val")
        tags = tuple(words(row["tags"]))
        for tag in tags:
            if tag not in classes:
                raise UserError(
                    f"{data.tags}: id '{key}': tag '{tag}' is not in data.classes; "
                    "correct the tag or add the class"
                )
        entries.append(Entry(key, images[key], split, tags, mask_of.get(key), classes))
    used = sum(entry.mask is not None for entry in entries)
    left_out = {
        "images without a line in tags.csv": len(images) - len(rows),
        "files in masks/ that fit no line of tags.csv": masks.count_files(data.root) - used,
    }
    return Read(entries, classes, left_out)


def _val_ids(ids: Sequence[str], fraction: float) -> set[str]:
    """Draw the ids of the val split; the draw does not depend on the order of the lines."""
    order = np.random.default_rng(0).permutation(len(ids))
    return {sorted(ids)[i] for i in order[: round(fraction * len(ids))]}


def _by_stem(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """Map the id of each file in `folder`, which is its name without the suffix, to its path."""
    if not folder.is_dir():
        raise UserError(f"{folder}: folder not found; put the images there or set data.root")
    paths: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in suffixes:
            if path.stem in paths:
                raise UserError(f"{path}: duplicate id '{path.stem}'; rename one of the files")
            paths[path.stem] = path
    return paths
