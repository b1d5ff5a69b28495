"""A folder of one's own: images/, tags.csv, optional masks/."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.formats import SUFFIXES
from pipeline.dataset.config import Data
from pipeline.dataset.entries import Entry, Read, words


def read_folder(data: Data) -> Read:
    """images/ + tags.csv (id, tags, optional split) + optional masks/ (ID.png, index = class)."""
    options = data.option()
    rows = formats.read_table(data.tags, columns=("id", "tags"))
    images = _by_stem(data.root / "images", SUFFIXES)
    masks = _by_stem(data.root / "masks", (".png",)) if (data.root / "masks").is_dir() else {}
    classes = data.classes or tuple(sorted({t for r in rows for t in words(r["tags"])}))
    entries = []
    val = _val_ids([r["id"] for r in rows], getattr(options, "val_fraction", 0.0))
    for row in rows:
        key = row["id"]
        if key not in images:
            raise UserError(f"{data.tags}: id '{key}' has no image {data.root}/images/{key}.*")
        split = row.get("split") or ("val" if key in val else "train")
        if split not in ("train", "val"):
            raise UserError(f"{data.tags}: id '{key}': split '{split}' is neither train nor val")
        tags = tuple(words(row["tags"]))
        for tag in tags:
            if tag not in classes:
                raise UserError(
                    f"{data.tags}: id '{key}': tag '{tag}' is not in data.classes; "
                    "correct the tag or add the class"
                )
        entries.append(Entry(key, images[key], split, tags, masks.get(key), classes))
    return Read(entries, classes, {"images without a line in tags.csv": len(images) - len(rows)})


def _val_ids(ids: Sequence[str], fraction: float) -> set[str]:
    """The same share of val images on every machine, whatever the order of the lines."""
    order = np.random.default_rng(0).permutation(len(ids))
    return {sorted(ids)[i] for i in order[: round(fraction * len(ids))]}


def _by_stem(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    if not folder.is_dir():
        raise UserError(f"{folder}: folder not found; put the images there or set data.root")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in suffixes:
            if path.stem in found:
                raise UserError(f"{path}: id '{path.stem}' stands twice; rename one of the files")
            found[path.stem] = path
    return found
