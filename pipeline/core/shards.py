"""Store many small files in a few archives, for file systems that cannot hold millions of files.

FOLDER/00007-of-00100.zip holds the files of FOLDER whose names hash to 7. A reader still asks for
FOLDER/NAME and does not need to know of the archives. Each sub-folder has archives of its own.
"""

import functools
import hashlib
import io
import lzma
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pipeline.core.errors import UserError

EPOCH = (1980, 1, 1, 0, 0, 0)  # one time for all files, so that equal content gives equal bytes
ARCHIVE = "{:05d}-of-{:05d}.zip"
ANY_ARCHIVE = "[0-9]" * 5 + "-of-" + "[0-9]" * 5 + ".zip"
DAMAGE = (  # what zipfile raises for damaged bytes: it has no common class for them
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, NotImplementedError, RuntimeError,
    OSError, EOFError, ValueError, OverflowError, IndexError,
)  # fmt: skip
NO_FILES = (".part", ".zip")  # suffixes of unfinished files and of the archives themselves


def pack(folder: Path, *, per_shard: int) -> None:
    """Move the files of `folder` into archives of about `per_shard` files.

    If a call is killed, the next call continues: an archive is either complete or not there.
    """
    for each in _folders(folder):
        _pack(each, *_listed(each, per_shard))
    _counted.cache_clear()
    _archive.cache_clear()


def _folders(folder: Path) -> list[Path]:
    """Return a folder and its sub-folders."""
    return sorted(Path(each) for each, _, _ in os.walk(folder))


def _pack(folder: Path, count: int, files: list[str]) -> None:
    """Move the files of one folder, but not those of its sub-folders, into archives."""
    groups: dict[int, list[str]] = {number: [] for number in range(count)}
    for name in files:
        groups[_number(name, count)].append(name)
    for number, names in groups.items():
        archive = folder / ARCHIVE.format(number, count)
        if not archive.exists():
            _write(archive, [folder / name for name in names])
        for name in names:
            (folder / name).unlink()


def _listed(folder: Path, per_shard: int) -> tuple[int, list[str]]:
    """Return the number of archives, existing or planned, and the files that are in none yet."""
    files = sorted(name for name in _files(folder) if Path(name).suffix not in NO_FILES)
    return _count(folder) or math.ceil(len(files) / per_shard), files


def open_file(path: Path) -> BinaryIO:
    """Open a file for reading: the file itself, or else its copy in an archive of its folder.

    Raises:
        FileNotFoundError: there is no such file, and it is in no archive.
        UserError: the archive is damaged, or `pack` did not write it.
    """
    try:
        return path.open("rb")
    except FileNotFoundError:
        if (count := _count(path.parent)) == 0:
            raise
    archive = _path(path, count)
    opened = _archive(archive, os.getpid())
    if path.name not in opened.NameToInfo:
        raise FileNotFoundError(path)
    try:
        if opened.getinfo(path.name).compress_type != zipfile.ZIP_STORED:  # could be a zip bomb
            raise _damaged(archive)
        return io.BytesIO(opened.read(path.name))
    except DAMAGE as e:
        raise _damaged(archive) from e


def exists(path: Path) -> bool:
    """Whether `open_file` would find the file."""
    if path.exists() or (count := _count(path.parent)) == 0:
        return path.exists()
    archive = _path(path, count)
    return archive.exists() and path.name in _archive(archive, os.getpid()).NameToInfo


def ids(folder: Path) -> set[str]:
    """Return the ids of all finished files in `folder`, its sub-folders and their archives.

    The id of a file is its path below `folder`, without the suffix.
    """
    return {
        (each.relative_to(folder) / Path(name).stem).as_posix()
        for each in _folders(folder)
        for name in _names(each)
    }


def _names(folder: Path) -> Iterator[str]:
    """Yield the names of the finished files in one folder and its archives."""
    yield from (name for name in _files(folder) if Path(name).suffix not in NO_FILES)
    for archive in folder.glob(ANY_ARCHIVE):
        with _open(archive) as z:
            yield from z.namelist()


def _files(folder: Path) -> list[str]:
    """Return the names of the files in one folder."""
    return next(os.walk(folder))[2]


def _write(archive: Path, files: list[Path]) -> None:
    part = archive.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as z:
        for file in files:
            z.writestr(zipfile.ZipInfo(file.name, EPOCH), file.read_bytes())
    part.replace(archive)


def _path(file: Path, count: int) -> Path:
    """Path of the archive that holds `file`, if its folder has `count` archives."""
    return file.parent / ARCHIVE.format(_number(file.name, count), count)


def _number(name: str, count: int) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) % count


def _count(folder: Path) -> int:
    """Number of archives in `folder`; 0 if its files are not in archives."""
    return _counted(folder, folder.stat().st_mtime_ns) if folder.is_dir() else 0


@functools.lru_cache(maxsize=64)
def _counted(folder: Path, _changed: int) -> int:
    """Number of archives. `_changed`, the folder's time, makes the cache notice changes."""
    archive = next(folder.glob(ANY_ARCHIVE), None)
    return int(archive.stem.rpartition("-")[2]) if archive else 0


@functools.lru_cache(maxsize=256)
def _archive(path: Path, _process: int) -> zipfile.ZipFile:
    """Return an open archive. Each process opens its own, as a shared one has one read position."""
    return _open(path)


def _open(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except FileNotFoundError:
        raise
    except DAMAGE as e:
        raise _damaged(path) from e


def _damaged(archive: Path) -> UserError:
    return UserError(f"{archive}: is damaged; delete its folder and run the chain again")
