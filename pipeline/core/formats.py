"""Readers and writers for every file format. Equal content always gives equal bytes.

Shapes: H, W height and width of the image in px; h, w size at network stride; K classes.
"""

import contextlib
import csv
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.core import decoding, shards, tables
from pipeline.core.arrays import Float, UInt8
from pipeline.core.errors import MissingFileError, UserError, unwritable

MAX_NPZ_BYTES = 2 << 30  # of all arrays; ours have at most some MB
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")  # suffixes of photographs


def voc_palette() -> list[int]:
    """Return the colour map of the VOC devkit as 768 numbers, R, G and B of each index.

    The bits of the index are spread over the bits of the three channels.
    """
    index = np.arange(256)
    channels = [sum(((index >> (3 * j + c)) & 1) << (7 - j) for j in range(8)) for c in range(3)]
    return [int(v) for v in np.stack(channels, axis=1).ravel()]


PALETTE = voc_palette()


def read_image(path: Path, *, least_px: int = 0) -> UInt8:
    """Read a photograph as RGB (H, W, 3), turned upright by its EXIF orientation.

    Args:
        path: the file.
        least_px: if above 0, a JPEG may be decoded at a half, a quarter or an eighth of its size,
            which is faster. Its long side then still has at least this many px.

    Raises:
        UserError: the file is missing or cannot be decoded.
    """
    return np.asarray(decoding.decode(path, mode="RGB", least_px=least_px))


def write_image(path: Path, image_HW3: UInt8) -> None:
    """Write an RGB image (H, W, 3). The suffix of `path` decides the format."""
    name = Image.registered_extensions()[path.suffix.lower()]
    replace_file(path, lambda f: Image.fromarray(image_HW3).save(f, format=name, quality=90))


def read_label(path: Path) -> UInt8:
    """Read the class indices (H, W) of a palette or grey PNG. The palette's colours do not matter.

    Raises:
        UserError: the file is missing, cannot be decoded, or is a colour image without indices.
    """
    image = decoding.decode(path)
    if image.mode not in ("P", "L", "1"):
        raise UserError(
            f"{path}: is a {image.mode} image without class indices; save it as a palette PNG or "
            "a grey PNG"
        )
    return np.array(image if image.mode != "1" else image.convert("L"), dtype=np.uint8)


def write_label(path: Path, label_HW: UInt8) -> None:
    """Write class indices (H, W) as an 8-bit PNG with the VOC palette."""
    image = Image.fromarray(label_HW).convert("L")
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette(PALETTE)
    replace_file(path, lambda f: image.save(f, format="PNG"))


def read_grey(path: Path) -> Float:
    """Read a grey image as floats (H, W) in [0, 1]."""
    return np.asarray(decoding.decode(path, mode="L"), dtype=np.float32) / 255


def write_grey(path: Path, map_HW: Float) -> None:
    """Write a map (H, W) as an 8-bit grey PNG. Values outside [0, 1] are clipped."""
    grey = Image.fromarray(np.round(np.clip(map_HW, 0, 1) * 255).astype(np.uint8))
    replace_file(path, lambda f: grey.save(f, format="PNG"))


def replace_file(path: Path, write: Any) -> None:
    """Write to a temporary name and rename it, so that a killed run leaves no incomplete file.

    Raises:
        UserError: the file cannot be written. The old file, if there was one, is then unchanged.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as f:
            write(f)
        os.replace(part, path)
    except OSError as e:
        with contextlib.suppress(OSError):
            part.unlink()
        raise unwritable(path, e) from e


def read_arrays(path: Path, *, match: str = "*") -> dict[str, Any]:
    """Read those named arrays of an npz file whose names match a pattern, such as `guide.*`.

    Raises:
        UserError: the file is missing, is not an npz file, or has more than MAX_NPZ_BYTES.
    """
    try:
        with shards.open_file(path) as file, zipfile.ZipFile(file) as members:
            size = sum(member.file_size for member in members.infolist())
            if size > MAX_NPZ_BYTES:
                raise ValueError(f"its arrays have {size} bytes, above {MAX_NPZ_BYTES}")
            with np.load(file, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files if fnmatchcase(name, match)}
    except FileNotFoundError as e:
        raise MissingFileError(path) from e
    except UserError:
        raise
    except Exception as e:  # on a damaged file, zipfile and numpy raise errors of every kind
        raise UserError(
            f"{path}: is not an npz file ({e}); delete it and run the chain again"
        ) from e


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write named arrays as a compressed npz file."""
    replace_file(path, lambda f: np.savez_compressed(f, **arrays))


def read_maps(path: Path) -> tuple[Float, UInt8]:
    """Read class maps: `maps` (K, h, w), and `classes` (K,) with class indices from 1."""
    arrays = read_arrays(path)
    return arrays["maps"].astype(np.float32), arrays["classes"]


def write_maps(path: Path, maps_Khw: Float, classes_K: UInt8) -> None:
    """Write the class maps (K, h, w) of an image's tags as float16."""
    maps = maps_Khw.astype(np.float16)
    replace_file(path, lambda f: np.savez(f, maps=maps, classes=classes_K))


def read_component_scores(path: Path) -> tuple[Float, UInt8]:
    """Read score changes (R, K) of R saliency components, and class indices (K,) from 1."""
    arrays = read_arrays(path)
    return arrays["changes"], arrays["classes"]


def write_component_scores(path: Path, changes_RK: Float, classes_K: UInt8) -> None:
    """Write the score changes (R, K) of an image's tags in each saliency component."""
    replace_file(path, lambda f: np.savez(f, changes=changes_RK, classes=classes_K))


def read_logits(path: Path) -> Float:
    """Read logits (1 + K, h, w). Channel 0 is the background."""
    return read_arrays(path)["logits"].astype(np.float32)


def write_logits(path: Path, logits_Khw: Float) -> None:
    """Write logits (1 + K, h, w) at network stride as float16."""
    logits = logits_Khw.astype(np.float16)
    replace_file(path, lambda f: np.savez(f, logits=logits))


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: the file is missing, cannot be read, or is not valid JSON.
    """
    try:
        return json.loads(tables.read_text(path))
    except (ValueError, RecursionError) as e:
        raise UserError(f"{path}: is not valid JSON ({e})") from e


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys."""
    text = json.dumps(value, indent=2, sort_keys=True) + "\n"
    replace_file(path, lambda f: f.write(text.encode()))


def read_json_lines(path: Path) -> list[Any]:
    """Read a JSON value from each line. A line that a killed run left incomplete is left out."""
    values: list[Any] = []
    for line in path.read_text().splitlines() if path.exists() else ():
        with contextlib.suppress(json.JSONDecodeError):
            values.append(json.loads(line))
    return values


def read_table(path: Path, *, columns: Sequence[str], sep: str = ",") -> list[dict[str, str]]:
    """Read the rows of a table that the chain wrote (`tables.read`). All values are text."""
    return tables.read(path, columns=columns, sep=sep).rows


def write_table(
    path: Path, rows: Iterable[Sequence[Any]], *, columns: Sequence[str], sep: str = ","
) -> None:
    """Write a table with `columns` as its first line: a CSV, or a TSV if `sep` is a tab."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=sep, lineterminator="\n")
    writer.writerows([columns, *rows])
    replace_file(path, lambda f: f.write(out.getvalue().encode()))


def digest(*paths: Path) -> str:
    """Hash the names and the content of files into 16 hex digits. A folder means all its files."""
    content_hash = hashlib.blake2b(digest_size=8)
    for path in paths:
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            name = file.relative_to(path).as_posix() if path.is_dir() else file.name
            content_hash.update(name.encode())
            try:
                content_hash.update(file.read_bytes())
            except FileNotFoundError as e:
                raise MissingFileError(file) from e
    return content_hash.hexdigest()
