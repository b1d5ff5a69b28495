"""Masks as a data set that an annotation tool opens."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from app.exports import coco, cvat, label_studio, voc, yolo
from app.exports.files import Format, new_folder
from app.exports.frames import as_images
from app.exports.source import Masked, Source, read_mask
from pipeline.core import runtime
from pipeline.core.arrays import VOID
from pipeline.core.errors import UserError

FORMATS = {
    "coco": coco.FORMAT,
    "cvat": cvat.FORMAT,
    "labelstudio": label_studio.FORMAT,
    "yolo": yolo.FORMAT,
    "voc": voc.FORMAT,
}


@dataclass(frozen=True)
class Exported:
    """What an export wrote: images, and in how many of them void became background."""

    count: int
    without_void: int


def export_masks(source: Source, output: Path, *, name: str, polygons: bool = False) -> Exported:
    """Write images and masks into a new folder, all of them or nothing.

    Args:
        source: masks and images.
        output: the folder, which must be empty or not exist.
        name: one of FORMATS.
        polygons: write outlines in place of masks. Only coco has both.

    Raises:
        UserError: the format is not known, the folder holds files or cannot be written, or a mask
            or an image does not fit.
    """
    chosen = _choose(name, polygons=polygons)
    with new_folder(output) as folder, as_images(source) as images:
        work = partial(_add, chosen=chosen, classes=source.classes, folder=folder)
        done = list(runtime.pool_map(work, list(images.images), title="export"))
        chosen.finish(source, [entry for entry, _ in done], folder)
    return Exported(len(done), sum(lost for _, lost in done))


def _choose(name: str, *, polygons: bool) -> Format:
    if name not in FORMATS:
        raise UserError(f"no format '{name}'; choose one of {', '.join(FORMATS)}")
    if polygons and name != "coco":
        raise UserError("--polygons goes with --format coco; the other formats hold masks")
    return coco.POLYGONS if polygons else FORMATS[name]


def _add(
    image: Masked, *, chosen: Format, classes: Sequence[str], folder: Path
) -> tuple[Any, bool]:
    """Write one image; return its entry, and whether void became background."""
    label_HW = read_mask(image, classes)
    lost = not chosen.keeps_void and bool((label_HW == VOID).any())
    if lost:
        label_HW[label_HW == VOID] = 0
    return chosen.add(image, label_HW, folder), lost
