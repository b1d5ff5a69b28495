"""Store many small files in a few tars, for file systems that cannot hold millions of files.

FOLDER/00007.tar holds the files of one range of ids (`tars`), and FOLDER/shards.idx the first id of
each range. All folders of results have the same ranges, so an id is in the same tar of each. A
reader still asks for FOLDER/ID.png and does not need to know of the tars.

FOLDER/00007.tar/NAME names a file of a tar, too. The tar may then be anybody's.
"""

import bisect
import functools
import io
import itertools
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

from pipeline.core import remote, tars
from pipeline.core.errors import UserError

T = TypeVar("T")

TAR = "{:05d}" + tars.SUFFIX
RANGES = "shards" + tars.INDEX
NO_RESULTS = (".part", tars.SUFFIX, tars.INDEX)  # unfinished files, tars and their indices
ABSENT = (FileNotFoundError, NotADirectoryError)  # the second one: a path that goes into a tar


def images_per_tar() -> int:
    """Return how many images a tar of results holds at most; 0: each image has its own files.

    It is not a param, because all readers find a file in either form.

    Raises:
        UserError: GUIDELABEL_SHARD is not a whole number.
    """
    asked = os.environ.get("GUIDELABEL_SHARD") or "0"
    if not (asked.isascii() and asked.isdecimal() and len(asked) < 10):
        raise UserError(
            f"GUIDELABEL_SHARD={asked}: must be a whole number of images for each tar, such as "
            "1000; unset it for single files"
        )
    return int(asked)


def pack(folder: Path, ids: Sequence[str], *, per_shard: int) -> None:
    """Move the files of a folder and its sub-folders into tars.

    If a call is killed, the next call continues: a tar is either complete or not there. The tars
    that the first call began decide, whatever the next call asks for.

    Args:
        folder: a folder of results.
        ids: the ids of all images, also of those without a file. They decide what is in which tar.
        per_shard: how many ids a tar holds at most; 0: begin no tars.
    """
    first_ids = _ranges(folder)
    if not first_ids and per_shard:
        first_ids = _divide(folder, sorted(ids), per_shard)
    if not first_ids:
        return
    groups: defaultdict[int, list[str]] = defaultdict(list)
    for file in _files(folder):
        groups[_number(first_ids, _id(file))].append(file)
    for number, files in sorted(groups.items()):
        tar = folder / TAR.format(number)
        if not tar.exists():
            tars.write(tar, [(tars.member(file), folder / file) for file in files])
        packed = tars.index(tar)
        for file in files:
            if tars.member(file) in packed:
                (folder / file).unlink()
    for empty, below, names in os.walk(folder, topdown=False):
        if not names and not any((Path(empty) / name).exists() for name in below):
            Path(empty).rmdir()


def divided(items: Sequence[T], per_shard: int) -> list[Sequence[T]]:
    """Divide items as evenly as can be into the fewest groups of at most `per_shard`."""
    count = -(-len(items) // per_shard)
    ends = [k * len(items) // count for k in range(count + 1)] if count else []
    return [items[start:end] for start, end in itertools.pairwise(ends)]


def _divide(folder: Path, ids: Sequence[str], per_shard: int) -> list[str]:
    """Divide ids into ranges of nearly equal length, and write the first id of each."""
    first_ids = [group[0] for group in divided(ids, per_shard)] or [""]
    part = folder / f"{RANGES}.part"
    part.write_text(json.dumps(first_ids) + "\n", encoding="utf-8")
    part.replace(folder / RANGES)
    return first_ids


def open_file(path: Path) -> BinaryIO:
    """Open a file for reading: the file itself, or else its copy in a tar.

    Raises:
        FileNotFoundError: there is no such file, and it is in no tar.
        UserError: the tar or an index is damaged.
    """
    try:
        return path.open("rb")
    except ABSENT:
        if not (place := _place(path)):
            raise FileNotFoundError(path) from None
    try:
        return io.BytesIO(tars.read(*place))
    except FileNotFoundError as e:
        raise FileNotFoundError(path) from e


def exists(path: Path) -> bool:
    """Whether `open_file` would find the file."""
    if path.exists():
        return True
    place = _place(path)
    try:
        return place is not None and place[1] in tars.index(place[0])
    except ABSENT:
        return False


def state(path: Path) -> list[int | str]:
    """Return what changes when `path` does, or the tar that holds it: its size and its time.

    Raises:
        OSError: there is no such file, or it cannot be reached.
    """
    place = None if path.exists() else _place(path)
    file = place[0] if place else path
    if remote.is_remote(file):
        return [remote.state(file)]
    status = file.stat()
    return [status.st_size, status.st_mtime_ns]


def ids(folder: Path) -> set[str]:
    """Return the ids of all finished files in `folder`, its sub-folders and its tars.

    The id of a file is its path below `folder`, without the suffix.
    """
    found = {_id(file) for file in _files(folder)}
    for number in range(len(_ranges(folder))):
        if (tar := folder / TAR.format(number)).exists():
            found.update(tars.parts(name)[0] for name in tars.index(tar))
    return found


def _files(folder: Path) -> Iterator[str]:
    """Yield the path, below `folder`, of each finished file of results that is in no tar."""
    for each, _, names in os.walk(folder):
        inside = Path(each).relative_to(folder)
        yield from (
            (inside / name).as_posix() for name in names if Path(name).suffix not in NO_RESULTS
        )


def _id(file: str) -> str:
    return Path(file).with_suffix("").as_posix()


def _place(path: Path) -> tuple[Path, str] | None:
    """Return the tar that should hold `path`, and its name there; None if there is no such tar."""
    for folder in path.parents:
        if folder.suffix == tars.SUFFIX and (remote.is_remote(folder) or folder.is_file()):
            return folder, path.relative_to(folder).as_posix()
        if first_ids := _ranges(folder):
            file = path.relative_to(folder).as_posix()
            return folder / TAR.format(_number(first_ids, _id(file))), tars.member(file)
    return None


def _number(first_ids: Sequence[str], key: str) -> int:
    """The number of the tar that holds an id."""
    return max(0, bisect.bisect_right(first_ids, key) - 1)


def _ranges(folder: Path) -> list[str]:
    """Return the first id of each tar of a folder; [] if its files are not in tars."""
    try:
        return _read_ranges(folder / RANGES, (folder / RANGES).stat().st_mtime_ns)
    except ABSENT:
        return []


@functools.lru_cache(maxsize=64)
def _read_ranges(path: Path, _changed: int) -> list[str]:
    """Read the first ids. `_changed`, the file's time, makes the cache notice changes."""
    try:
        first_ids = json.loads(path.read_bytes())
    except (ValueError, OSError, RecursionError) as e:
        raise UserError(f"{path}: {tars.FIX} ({e})") from e
    if not first_ids or not isinstance(first_ids, list) or not all(map(_is_text, first_ids)):
        raise UserError(f"{path}: {tars.FIX} (is not a list of ids)")
    return first_ids


def _is_text(value: object) -> bool:
    return isinstance(value, str)
