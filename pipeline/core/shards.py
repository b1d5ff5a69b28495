"""Many small files as a few archives, for file systems that bear no ten million files.

FOLDER/00007-of-00100.zip holds those files of FOLDER whose name hashes to 7. A reader asks for
FOLDER/NAME all the same.
"""

import functools
import hashlib
import io
import math
import os
import zipfile
from pathlib import Path
from typing import BinaryIO

from pipeline.core import ranks
from pipeline.core.errors import UserError

EPOCH = (1980, 1, 1, 0, 0, 0)  # an archive's bytes depend on what is in it alone
ARCHIVE = "{:05d}-of-{:05d}.zip"
ANY_ARCHIVE = "[0-9]" * 5 + "-of-" + "[0-9]" * 5 + ".zip"
NO_FILES = (".part", ".zip")


def pack(folder: Path, *, per_shard: int) -> None:
    """Put the files of `folder` into archives of about `per_shard` files; ranks share the work.

    A killed call goes on: an archive is there whole or not at all.
    """
    count, files = ranks.agreed(lambda: _listed(folder, per_shard))
    groups: dict[int, list[str]] = {number: [] for number in range(count)}
    for name in files:
        groups[_number(name, count)].append(name)
    for number, inside in ranks.mine([*groups.items()]):
        archive = folder / ARCHIVE.format(number, count)
        if not archive.exists():
            _write(archive, [folder / name for name in inside])
        for name in inside:
            (folder / name).unlink()
    _counted.cache_clear()
    _archive.cache_clear()


def _listed(folder: Path, per_shard: int) -> tuple[int, list[str]]:
    """How many archives there are to be, or are already, and the files that are in none."""
    files = sorted(p.name for p in folder.iterdir() if p.suffix not in NO_FILES)
    return _count(folder) or math.ceil(len(files) / per_shard), files


def open_file(path: Path) -> BinaryIO:
    """Open a file for reading, out of an archive of its folder if it is in one.

    Raises:
        FileNotFoundError: it is in neither.
        UserError: the archive is damaged.
    """
    try:
        return path.open("rb")
    except FileNotFoundError:
        if (count := _count(path.parent)) == 0:
            raise
    archive = _path(path, count)
    try:
        return io.BytesIO(_archive(archive, os.getpid()).read(path.name))
    except KeyError as e:
        raise FileNotFoundError(path) from e
    except zipfile.BadZipFile as e:
        raise _damaged(archive) from e


def exists(path: Path) -> bool:
    """Whether `open_file` would find it."""
    if path.exists() or (count := _count(path.parent)) == 0:
        return path.exists()
    return path.name in _archive(_path(path, count), os.getpid()).NameToInfo


def ids(folder: Path) -> set[str]:
    """The names without suffix of the files in `folder` and its archives; half files left out."""
    if not folder.is_dir():
        return set()
    there = {p.stem for p in folder.iterdir() if p.suffix not in NO_FILES}
    for archive in folder.glob(ANY_ARCHIVE):
        with _open(archive) as z:
            there.update(Path(name).stem for name in z.namelist())
    return there


def _write(archive: Path, files: list[Path]) -> None:
    part = archive.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as z:
        for file in files:
            z.writestr(zipfile.ZipInfo(file.name, EPOCH), file.read_bytes())
    part.replace(archive)


def _path(file: Path, count: int) -> Path:
    """The archive that a file of its folder is in."""
    return file.parent / ARCHIVE.format(_number(file.name, count), count)


def _number(name: str, count: int) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) % count


def _count(folder: Path) -> int:
    """How many archives the files of `folder` are in; 0 if they are no archives."""
    return _counted(folder, folder.stat().st_mtime_ns) if folder.is_dir() else 0


@functools.lru_cache(maxsize=64)
def _counted(folder: Path, _changed: int) -> int:
    one = next(folder.glob(ANY_ARCHIVE), None)
    return int(one.stem.rpartition("-")[2]) if one else 0


@functools.lru_cache(maxsize=256)
def _archive(path: Path, _process: int) -> zipfile.ZipFile:
    """An open archive; each process opens its own, for a shared one has one place to read at."""
    return _open(path)


def _open(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as e:
        raise _damaged(path) from e


def _damaged(archive: Path) -> UserError:
    return UserError(f"{archive}: is damaged; remove its folder and run the chain again")
