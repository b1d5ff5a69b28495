"""The photographs and videos that `predict` reads: files, folders, globs, lists, standard input.

Each gets an id: the path of its results below the output folder, without a suffix.
"""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import BinaryIO

from pipeline.core import formats, runtime, tables
from pipeline.core.errors import UserError
from pipeline.core.formats import SUFFIXES
from pipeline.dataset.names import MAX_ID_BYTES, is_too_long
from pipeline.inference.sizes import Photo

RECORD = "made_of.json"  # in the output folder: network, params and files behind the results
STANDARD_INPUT, LIST = "-", ".txt"
VIDEOS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
WILD = set("*?[")


@dataclass(frozen=True)
class Source:
    """A file, and the id of its results: their path below the output folder, without a suffix."""

    id: str
    path: Path


def find(items: Sequence[str], *, standard_input: BinaryIO) -> list[Source]:
    """Find the files behind what a person typed, each once.

    A folder stands for the photographs in it and in its subfolders, a glob such as `in/*/a*.jpg`
    for those that it matches. Their results keep the path below the folder, or below the part of
    the glob without wildcards. A file `*.txt` and `-` (standard input) hold a path on each line. A
    relative path there keeps its folders. The results of every other file are named like the file.

    Raises:
        UserError: a folder or glob holds no photograph, or a folder or a list cannot be read.
    """
    by_path: dict[str, Source] = {}
    for item in items:
        for source in _expand(item, standard_input):
            by_path.setdefault(os.path.abspath(source.path), source)
    return list(by_path.values())


def _expand(item: str, standard_input: BinaryIO) -> Iterator[Source]:
    if item == STANDARD_INPUT:
        yield from _listed(os.fsdecode(standard_input.read()), "standard input")
    elif os.path.isdir(item):
        yield from in_folder(Path(item))
    elif WILD & set(item) and not os.path.exists(item):
        yield from _matching(item)
    elif Path(item).suffix.lower() == LIST:
        yield from _listed(tables.read_text(Path(item)), item)
    else:
        yield Source(Path(item).stem, Path(item))


def in_folder(folder: Path, *, may_be_empty: bool = False) -> list[Source]:
    """List the photographs in a folder and its subfolders.

    Left out are names that start with a dot, and subfolders with results of `predict`.

    Raises:
        UserError: the folder or a subfolder cannot be read, or holds no photograph.
    """
    paths = sorted(p for p in _walk(folder) if p.suffix.lower() in SUFFIXES)
    if not paths and not may_be_empty:
        raise UserError(f"{folder}: holds no image ({', '.join(SUFFIXES)})")
    return [_below(folder, path) for path in paths]


def _walk(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise UserError(
            f"{error.filename}: cannot be read ({error.strerror}); choose another folder"
        ) from error

    for here, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [
            f for f in folders if f[0] != "." and not os.path.exists(os.path.join(here, f, RECORD))
        ]
        yield from (Path(here, name) for name in names if name[0] != ".")


def _below(folder: Path, path: Path) -> Source:
    return Source(path.relative_to(folder).with_suffix("").as_posix(), path)


def _matching(pattern: str) -> list[Source]:
    known = (*SUFFIXES, *VIDEOS)
    paths = [Path(p) for p in sorted(glob.glob(pattern, recursive=True))]
    chosen = [p for p in paths if p.suffix.lower() in known and p.is_file()]
    if not chosen:
        raise UserError(f"{pattern}: matches no image or video; check the path")
    fixed: list[str] = []
    for part in PurePath(pattern).parts[:-1]:
        if WILD & set(part):
            break
        fixed.append(part)
    return [_below(Path(*fixed), path) for path in chosen]


def _listed(text: str, name: str) -> Iterator[Source]:
    paths = [Path(line.strip()) for line in text.split("\n") if line.strip()]
    if not paths:
        raise UserError(f"{name}: holds no path; write one on each line")
    for path in paths:
        if os.path.isdir(path):
            yield from in_folder(path)
        elif path.is_absolute() or ".." in path.parts:
            yield Source(path.stem, path)
        else:
            yield Source(path.with_suffix("").as_posix(), path)


def is_video(path: Path) -> bool:
    """Whether a file's name is that of a video."""
    return path.suffix.lower() in VIDEOS


def readable(sources: Sequence[Source]) -> tuple[list[Photo], list[str]]:
    """Return the photographs that can have results, and a message for each other file."""
    photos: dict[str, Photo] = {}
    skipped = []
    sizes = runtime.pool_map(_size, list(sources), title="open")
    for source, size in zip(sources, sizes, strict=True):
        if isinstance(size, str):
            skipped.append(size)
        elif source.id in photos:
            skipped.append(
                f"{source.path}: another image is already called '{source.id}'; rename it"
            )
        else:
            photos[source.id] = Photo(source.id, source.path, *size)
    return list(photos.values()), skipped


def _size(source: Source) -> tuple[int, int] | str:
    """Return height and width in px, or the reason why the file cannot have results."""
    if is_too_long(source.path.stem):
        return f"{source.path}: file name too long; shorten it to {MAX_ID_BYTES} bytes"
    try:
        height, width, _ = formats.read_image(source.path).shape
    except UserError as e:
        return str(e)
    return height, width
