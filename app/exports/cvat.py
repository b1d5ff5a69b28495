"""CVAT's format "Segmentation mask 1.1", and the labels of a new task."""

import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

from app.exports.files import Format, hex_colour, label_map, place_image, write_json, write_text
from app.exports.source import Masked, Source
from pipeline.core import formats
from pipeline.core.arrays import UInt8

ARCHIVE = "annotations.zip"
EPOCH = (1980, 1, 1, 0, 0, 0)  # one time for all files, so that equal content gives equal bytes


def add(image: Masked, label_HW: UInt8, folder: Path) -> None:
    """Write the image, and the mask for the archive.

    The same PNG serves as SegmentationClass and as SegmentationObject: one object for each class.
    Without objects, CVAT would also make a mask of the background.
    """
    place_image(image, label_HW, folder / "images")
    for kind in ("SegmentationClass", "SegmentationObject"):
        formats.write_label(folder / f"annotations/{kind}/{image.id}.png", label_HW)


def finish(source: Source, _: Sequence[None], folder: Path) -> None:
    """Write annotations.zip, and labels.json for the raw view of CVAT's label constructor."""
    work = folder / "annotations"
    ids = "".join(f"{image.id}\n" for image in source.images)
    write_text(work / "ImageSets/Segmentation/default.txt", ids)
    write_text(work / "labelmap.txt", label_map(source.classes))
    _pack(work, folder / ARCHIVE)
    shutil.rmtree(work)
    labels = [
        {"name": name, "color": hex_colour(index), "attributes": []}
        for index, name in enumerate(source.classes)
        if index
    ]
    write_json(folder / "labels.json", labels)


def _pack(folder: Path, archive: Path) -> None:
    """Write a zip file of a folder's files. Equal files give equal bytes."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as z:
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            name = file.relative_to(folder).as_posix()
            z.writestr(zipfile.ZipInfo(name, EPOCH), file.read_bytes())


FORMAT = Format(add, finish)
