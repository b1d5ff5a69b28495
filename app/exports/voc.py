"""The layout of a VOC devkit: JPEGImages, SegmentationClass, ImageSets."""

from collections.abc import Sequence
from pathlib import Path

from app.exports.files import Format, label_map, place_image, write_text
from app.exports.source import VOID_NAME, Masked, Source
from pipeline.core import formats
from pipeline.core.arrays import VOID, UInt8


def add(image: Masked, label_HW: UInt8, folder: Path) -> None:
    """Write JPEGImages/ID.jpg and the palette PNG SegmentationClass/ID.png. Void stays 255."""
    place_image(image, label_HW, folder / "JPEGImages", jpeg=True)
    formats.write_label(folder / f"SegmentationClass/{image.id}.png", label_HW)


def finish(source: Source, _: Sequence[None], folder: Path) -> None:
    """Write the lists of ids by split, and labelmap.txt with the names of the indices."""
    for split in sorted({image.split for image in source.images}):
        ids = [f"{image.id}\n" for image in source.images if image.split == split]
        write_text(folder / f"ImageSets/Segmentation/{split}.txt", "".join(ids))
    write_text(folder / "labelmap.txt", label_map(source.classes, [(VOID_NAME, VOID)]))


FORMAT = Format(add, finish, keeps_void=True)
