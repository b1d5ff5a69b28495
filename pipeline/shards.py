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

from pipeline import ranks

EPOCH = (1980, 1, 1, 0, 0, 0)  # an archive's bytes depend on what is in it alone
NO_FILES = (".part", ".zip")


def pack(folder: Path, *, per_shard: int) -> None:
    """Put the files of `folder` into archives of about `per_shard` files; ranks share the work.

    A killed call goes on: an archive is there whole or not at all.
    """
    files = sorted(p.name for p in folder.iterdir() if p.suffix not in NO_FILES)
    count = _count(folder) or math.ceil(len(files) / per_shard)
    ranks.barrier()  # all have counted before the first archive is there
    for number in ranks.mine(range(count)):
        inside = [name for name in files if _number(name, count) == number]
        archive = folder / f"{number:05d}-of-{count:05d}.zip"
        if not archive.exists():
            _write(archive, [folder / name for name in inside])
        for name in inside:
            (folder / name).unlink()


def open_file(path: Path) -> BinaryIO:
    """Open a file for reading, out of an archive of its folder if it is in one.

    Raises:
        FileNotFoundError: it is in neither.
    """
    try:
        return path.open("rb")
    except FileNotFoundError:
        if (count := _count(path.parent)) == 0:
            raise
    archive = path.parent / f"{_number(path.name, count):05d}-of-{count:05d}.zip"
    try:
        return io.BytesIO(_archive(archive, os.getpid()).read(path.name))
    except KeyError as e:
        raise FileNotFoundError(path) from e


def exists(path: Path) -> bool:
    """Whether `open_file` would find it."""
    try:
        open_file(path).close()
    except FileNotFoundError:
        return False
    return True


def ids(folder: Path) -> set[str]:
    """The names without suffix of the files in `folder` and its archives; half files left out."""
    there = {p.stem for p in folder.iterdir() if p.suffix not in NO_FILES}
    for archive in folder.glob("*-of-*.zip"):
        with zipfile.ZipFile(archive) as z:
            there.update(Path(name).stem for name in z.namelist())
    return there


def _write(archive: Path, files: list[Path]) -> None:
    part = archive.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as z:
        for file in files:
            z.writestr(zipfile.ZipInfo(file.name, EPOCH), file.read_bytes())
    part.replace(archive)


def _number(name: str, count: int) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) % count


def _count(folder: Path) -> int:
    """How many archives the files of `folder` are in; 0 if they are no archives."""
    return _counted(folder, folder.stat().st_mtime_ns) if folder.is_dir() else 0


@functools.lru_cache(maxsize=64)
def _counted(folder: Path, _changed: int) -> int:
    one = next(folder.glob("*-of-*.zip"), None)
    return int(one.stem.rpartition("-")[2]) if one else 0


@functools.lru_cache(maxsize=256)
def _archive(path: Path, _process: int) -> zipfile.ZipFile:
    """An open archive; each process opens its own, for a shared one has one place to read at."""
    return zipfile.ZipFile(path)
