"""What the formats share: the shape of a writer, images, colours and JSON."""

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.exports.source import Masked, Source
from pipeline.core import decoding, formats, shards
from pipeline.core.arrays import UInt8
from pipeline.core.errors import UserError, unwritable
from pipeline.dataset.names import MAX_ID_BYTES

JPEG = (".jpg", ".jpeg")


@dataclass(frozen=True)
class Format:
    """How a format is written.

    `add(image, label_HW, folder)` writes the files of one image, in any process. What it returns is
    an entry for `finish(source, entries, folder)`, which writes the rest. Without `keeps_void`,
    `label_HW` has background in place of void.
    """

    add: Callable[[Masked, UInt8, Path], Any]
    finish: Callable[[Source, Sequence[Any], Path], None]
    keeps_void: bool = False


@contextlib.contextmanager
def new_folder(output: Path) -> Iterator[Path]:
    """Yield a folder beside `output` to write into. It becomes `output` if nothing fails.

    Raises:
        UserError: `output` holds files or is a link, or the folder cannot be made.
    """
    with _scratch(output) as parent:
        folder = Path(parent) / output.name
        folder.mkdir()
        yield folder
        os.replace(folder, output)


def _scratch(output: Path) -> TemporaryDirectory[str]:
    try:
        if output.is_symlink():  # also to an empty folder: nothing can be moved there
            raise UserError(f"{output}: is a link; choose a new folder")
        if output.exists() and not (output.is_dir() and not any(output.iterdir())):
            raise UserError(f"{output}: holds other files; choose a new folder")
        output.parent.mkdir(parents=True, exist_ok=True)
        if len(os.fsencode(output.name)) > MAX_ID_BYTES:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        return TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.")
    except OSError as e:
        raise unwritable(output, e) from e


def place_image(image: Masked, label_HW: UInt8, folder: Path, *, jpeg: bool = False) -> str:
    """Copy an image into `folder` as ID and its suffix; return this name.

    An id may be a path. Every format names images by paths, so the sub-folders stay.

    Masks belong to upright images, and some tools ignore EXIF data. So a turned image is not
    copied, but saved upright, with a JPEG quality of 90. With `jpeg`, an image in another format
    is saved in the same way.

    Raises:
        UserError: the image cannot be decoded, or its size is not that of the mask.
    """
    suffix = ".jpg" if jpeg else image.image.suffix.lower()
    target = folder / f"{image.id}{suffix}"
    header = decoding.read_header(image.image)
    size = header.height_px, header.width_px
    if size != label_HW.shape:
        raise UserError(
            f"{image.image}: has {size[1]} x {size[0]} px, but its mask {image.mask} has "
            f"{label_HW.shape[1]} x {label_HW.shape[0]}; make the masks again"
        )
    if not header.turned and (not jpeg or image.image.suffix.lower() in JPEG):
        target.parent.mkdir(parents=True, exist_ok=True)
        with shards.open_file(image.image) as file, target.open("wb") as copy:
            shutil.copyfileobj(file, copy)  # no link: ultralytics repairs JPEG files in place
    else:
        formats.write_image(target, formats.read_image(image.image))
    return f"{image.id}{suffix}"


def hex_colour(index: int) -> str:
    """Return VOC's colour of a class index as #rrggbb."""
    return "#" + bytes(formats.PALETTE[3 * index : 3 * index + 3]).hex()


def label_map(classes: Sequence[str], more: Sequence[tuple[str, int]] = ()) -> str:
    """Return the text of labelmap.txt: a line NAME:R,G,B:: for each class, with VOC's colours.

    Args:
        classes: in the order of their indices.
        more: further names with their indices.

    Raises:
        UserError: a name has a colon, which separates the fields.
    """
    lines = []
    for index, name in [*enumerate(classes), *((index, name) for name, index in more)]:
        if ":" in name:
            raise UserError(f"'{name}': this format has no class names with a colon; rename it")
        red, green, blue = formats.PALETTE[3 * index : 3 * index + 3]
        lines.append(f"{name}:{red},{green},{blue}::\n")
    return "# label:color_rgb:parts:actions\n" + "".join(lines)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8."""
    formats.replace_file(path, lambda f: f.write(text.encode()))


def write_json(path: Path, value: Any) -> None:
    """Write JSON without line breaks: masks hold long lists of numbers."""
    write_text(path, json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
