"""Decode image files. No other module opens one, so every file meets the same checks.

A file may come from anybody. So only decoders of pixels open it: for an EPS, whatever its suffix,
Pillow would start Ghostscript.
"""

import contextlib
import math
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.core import files, shards
from pipeline.core.errors import MissingFileError, UserError

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF")  # the content decides, not the suffix
MAX_MEGAPIXELS = 80
BYTES_PER_PX = 16  # at most: four channels of 32 bits
MIN_BYTES = 1 << 30  # a smaller file is always read
MAX_16_BIT = 65535
ORIENTATION = 0x0112  # the EXIF tag
SIDEWAYS = (5, 6, 7, 8)  # orientations that swap height and width
EXIF_PLACES = {"exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"}
FIX = "replace it or remove it from the list of images"

# `_check_size` refuses large images. Pillow would print a warning, and refuse at another number.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True)
class Header:
    """What an image file says of itself before its pixels: upright size, Pillow's mode, frames.

    `turned` says whether the file may hold the picture turned or mirrored.
    """

    height_px: int
    width_px: int
    mode: str
    frames: int
    turned: bool


def max_megapixels() -> int:
    """Return the number of megapixels above which an image is refused.

    It is not a param, because it depends on the machine's memory and cannot change a result.

    Raises:
        UserError: GUIDELABEL_MAX_MEGAPIXELS is not a whole number.
    """
    asked = os.environ.get("GUIDELABEL_MAX_MEGAPIXELS") or str(MAX_MEGAPIXELS)
    if not (asked.isascii() and asked.isdecimal()):
        raise UserError(f"GUIDELABEL_MAX_MEGAPIXELS={asked}: must be a whole number")
    return int(asked)


def max_bytes() -> int:
    """Return the number of bytes above which a file is not read."""
    return max(MIN_BYTES, BYTES_PER_PX * max_megapixels() * 10**6)


def read_header(path: Path) -> Header:
    """Read what an image file says of itself, without its pixels.

    Raises:
        UserError: the file is missing, is not an image, is too large, or has float values.
    """
    with _open(path) as image:
        width, height = image.size
        # Pillow turns a TIFF itself. A PNG whose EXIF comes last would be decoded here.
        known = image.format != "TIFF" and EXIF_PLACES & image.info.keys()
        orientation = image.getexif().get(ORIENTATION, 1) if known else 1
        if orientation in SIDEWAYS:
            width, height = height, width
        frames = getattr(image, "n_frames", 1)
        # The second picture in a JPEG of a phone is a preview.
        frames = 1 if image.format == "MPO" else frames
        turned = orientation != 1 or image.format == "TIFF"
        return Header(height, width, image.mode, frames, turned)


def decode(path: Path, *, mode: str = "", least_px: int = 0) -> Image.Image:
    """Decode the first picture of an image file, turned upright by its EXIF orientation.

    Args:
        path: the file.
        mode: Pillow's name of the mode to convert to: `RGB` or `L`. By default, the mode stays.
        least_px: if above 0, a JPEG may be decoded at a half, a quarter or an eighth of its size,
            which is faster. Its long side then still has at least this many px.

    Raises:
        UserError: the file is missing, cannot be decoded, is too large, or has float values; or
            `mode` is given and a value does not fit 16 bits.
    """
    with _open(path) as image:
        if least_px:
            factor = least_px / max(image.size)
            image.draft(None, (math.ceil(image.width * factor), math.ceil(image.height * factor)))
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return _eight_bit(path, image).convert(mode) if mode else image


def _eight_bit(path: Path, image: Image.Image) -> Image.Image:
    """Scale 16-bit grey to 8 bits. Pillow would instead set all values above 255 to 255."""
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image)
    if values.min() < 0 or values.max() > MAX_16_BIT:
        raise UserError(
            f"{path}: has values from {values.min()} to {values.max()}; save it with 8 bits, or "
            f"with 16 bits as 0 to {MAX_16_BIT}"
        )
    return Image.fromarray((values // 257).astype(np.uint8))


@contextlib.contextmanager
def _open(path: Path) -> Iterator[Image.Image]:
    """Open an image file. What Pillow raises inside the block becomes a UserError."""
    try:
        _check_file(path)
        with warnings.catch_warnings(), shards.open_file(path) as file:
            warnings.simplefilter("ignore")  # of damage that Pillow can read past
            if not file.read(1):
                raise UserError(f"{path}: is empty (0 bytes); {FIX}")
            file.seek(0)
            with Image.open(file, formats=FORMATS) as image:
                _check_size(path, image)
                _check_mode(path, image)
                yield image
    except UserError:
        raise
    except FileNotFoundError as e:
        raise MissingFileError(path) from e
    except UnidentifiedImageError as e:
        known = ", ".join(FORMATS[:-1])
        raise UserError(
            f"{path}: cannot be decoded (it is not a {known} or {FORMATS[-1]} file); {FIX}"
        ) from e
    except Exception as e:  # on damaged files, Pillow raises errors of every kind
        why = getattr(e, "strerror", None) or str(e) or type(e).__name__
        raise UserError(f"{path}: cannot be decoded ({' '.join(why.split())}); {FIX}") from e


def _check_file(path: Path) -> None:
    """Check a file that lies in its folder and not in a tar."""
    with contextlib.suppress(*shards.ABSENT):
        files.check(path, max_bytes=max_bytes())


def _check_size(path: Path, image: Image.Image) -> None:
    megapixels = image.width * image.height / 1e6
    if megapixels > max_megapixels():
        raise UserError(
            f"{path}: is {image.width}x{image.height} px ({megapixels:.0f} megapixels); scale it "
            f"down to {max_megapixels()} megapixels or less, or set GUIDELABEL_MAX_MEGAPIXELS="
            f"{math.ceil(megapixels)} if memory allows"
        )


def _check_mode(path: Path, image: Image.Image) -> None:
    if image.mode.startswith("F"):
        raise UserError(f"{path}: has float values, whose range is unknown; save it with 8 bits")
