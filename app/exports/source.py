"""The masks that an export starts from: those of the last run, or a folder that `predict` wrote."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.sources import RECORD
from pipeline.core import formats, shards
from pipeline.core.arrays import VOID, UInt8
from pipeline.core.errors import COMMAND, MissingFileError, UserError
from pipeline.core.layout import Layout
from pipeline.core.samples import read_samples

BACKGROUND, VOID_NAME = "background", "void"
GUIDE, PREDICTIONS = "guide", "predictions"  # the sources of the last run
RUN = f"run `{COMMAND} run` first"


@dataclass(frozen=True)
class Masked:
    """One image with its mask. `split` is train or val, and train if nobody divided the images."""

    id: str
    image: Path
    mask: Path
    split: str


@dataclass(frozen=True)
class Source:
    """The images of an export. `classes` starts with the background: index 0 of the masks."""

    classes: tuple[str, ...]
    images: tuple[Masked, ...]


def read_source(source: str, *, layout: Layout, supervision: str) -> Source:
    """Find masks and images.

    Args:
        source: GUIDE, PREDICTIONS, or the folder after `predict -o`.
        layout: where the last run wrote its files.
        supervision: which segmenter's predictions.

    Raises:
        UserError: there are no masks, or an image is missing.
    """
    if source == GUIDE:
        chosen = _of_run(layout, layout.labels("guide"))
    elif source == PREDICTIONS:
        chosen = _of_run(layout, layout.refined(supervision))
    else:
        chosen = _of_folder(Path(source))
    if missing := [str(image.image) for image in chosen.images if not shards.exists(image.image)]:
        raise UserError(
            f"{source}: {len(missing)} of {len(chosen.images)} images are not where they were when "
            f"their masks were made, such as {missing[0]}; move them back, or make the masks again"
        )
    return chosen


def _of_run(layout: Layout, folder: Path) -> Source:
    ids = shards.ids(folder)
    if not ids:
        raise UserError(f"{folder}: holds no masks; {RUN}")
    images = [
        Masked(sample.id, sample.image, folder / f"{sample.id}.png", sample.split)
        for sample in read_samples(layout.samples)
        if sample.id in ids
    ]
    return Source((BACKGROUND, *formats.read_json(layout.classes)), tuple(images))


def _of_folder(folder: Path) -> Source:
    if not os.path.isdir(folder):  # Path.is_dir fails on a name that is too long
        raise MissingFileError(
            folder, f"give {GUIDE}, {PREDICTIONS}, or a folder that `predict` wrote"
        )
    if not (folder / RECORD).exists() and (of_videos := sorted(folder.glob(f"*/{RECORD}"))):
        raise UserError(f"{folder}: holds a folder for each video; give one: {of_videos[0].parent}")
    record = read_record(folder)
    images = [
        Masked(name, Path(identity[0]), folder / f"{name}.png", "train")
        for name, identity in sorted(record.get("files", {}).items())
        if (folder / f"{name}.png").exists()  # a stopped call of predict has made a part of them
    ]
    if not images:
        raise UserError(f"{folder}: holds no masks; make them with {_predict(folder)}")
    return Source(tuple(record["classes"]), tuple(images))


def read_record(predictions: Path) -> dict[str, Any]:
    """Read made_of.json of a folder of masks. `classes` starts with the background.

    Raises:
        UserError: `predict` did not write the folder, or drew class maps into it; or the record is
            damaged, or names a file outside the folder.
    """
    record = predictions / RECORD
    try:
        content = formats.read_json(record)
    except MissingFileError as e:
        fix = f"make the folder with {_predict(predictions)}"
        raise MissingFileError(record, fix) from e
    if not _fits(content):
        raise UserError(f"{record}: is damaged; make the folder again with {_predict(predictions)}")
    if content["classes"][:1] != [BACKGROUND]:
        raise UserError(f"{record}: the folder holds no masks; choose one that predict segmented")
    return content


def _fits(content: Any) -> bool:
    """Whether a record has the form that `predict` gives it, and names no file elsewhere."""
    try:
        names, files = content["classes"], content.get("files", {})
        texts = [*names, *files, *(identity[0] for identity in files.values())]
    except (AttributeError, IndexError, KeyError, TypeError):
        return False
    inside = not any(Path(key).is_absolute() or ".." in Path(key).parts for key in files)
    return inside and isinstance(names, list) and all(isinstance(text, str) for text in texts)


def _predict(folder: Path) -> str:
    return f"`{COMMAND} predict IMAGES -o {folder}`"


def read_mask(image: Masked, classes: Sequence[str]) -> UInt8:
    """Read the mask (H, W): class indices and VOID.

    Raises:
        UserError: it holds another index.
    """
    label_HW = formats.read_label(image.mask)
    highest = label_HW[label_HW != VOID].max(initial=0)
    if highest >= len(classes):
        raise UserError(
            f"{image.mask}: holds the index {highest}, but there are {len(classes) - 1} classes; "
            "make the masks again"
        )
    return label_HW
