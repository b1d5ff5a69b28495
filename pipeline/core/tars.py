"""Write a tar in the layout of WebDataset, and read single files of any tar.

WebDataset takes the text before the first dot of a file's name as the key of a sample. So the
files of one id are `ID.png`, `ID.json` and so on, and a dot in an id is written as %2E.

An index beside the tar (00042.idx for 00042.tar) says where each file is: one line of JSON, which
maps each name to the offset of its bytes, their number and their CRC-32. A tar from elsewhere needs
no index: then its headers are read. No file is ever unpacked, and links are not followed.

A tar may also lie at an address (`remote`).
"""

import functools
import io
import json
import operator
import tarfile
import zlib
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import IO, Any, NoReturn

from pipeline.core import remote
from pipeline.core.errors import UserError

SUFFIX, INDEX = ".tar", ".idx"
MAX_BYTES = 2 << 30  # of one file; ours have at most some MB
BLOCK = 512  # bytes; a tar is a sequence of blocks
ESCAPES = (("%", "%25"), (".", "%2E"))
DAMAGE = (tarfile.TarError, OSError, EOFError, ValueError, OverflowError, RecursionError)
FIX = "is damaged; delete it, then run again or copy it here again"

Place = tuple[int, int, int | None]  # offset, number of bytes, CRC-32 if it is known


def member(file: str) -> str:
    """Return the name in a tar of the file ID.SUFFIX."""
    folder, slash, name = file.rpartition("/")
    stem, dot, suffix = name.rpartition(".")
    for plain, escaped in ESCAPES:
        stem = stem.replace(plain, escaped)
    return folder + slash + stem + dot + suffix


def parts(member: str) -> tuple[str, str]:
    """Return the id and the suffix of a name in a tar, as WebDataset divides it."""
    folder, slash, name = member.rpartition("/")
    stem, _, suffix = name.partition(".")
    for plain, escaped in reversed(ESCAPES):
        stem = stem.replace(escaped, plain)
    return folder + slash + stem, suffix


def write(tar: Path, files: Iterable[tuple[str, Path | bytes]]) -> None:
    """Write a tar and its index. The tar is complete or not there.

    Equal content gives equal bytes: files are sorted by name, and have no time and no owner.

    Args:
        tar: the path of the tar.
        files: the name in the tar of each file, and its path or its content. A name comes once.
    """
    part, places = tar.with_suffix(".part"), dict[str, Place]()
    with tarfile.open(part, "w", format=tarfile.GNU_FORMAT, encoding="utf-8") as t:
        for name, source in sorted(files, key=operator.itemgetter(0)):
            content = source.read_bytes() if isinstance(source, Path) else source
            places[name] = _append(t, name, content)
    index = tar.with_suffix(INDEX + ".part")
    index.write_text(json.dumps(places) + "\n", encoding="utf-8")
    index.replace(tar.with_suffix(INDEX))
    part.replace(tar)


def _append(tar: tarfile.TarFile, name: str, content: bytes) -> Place:
    header = tarfile.TarInfo(name)
    header.size = len(content)
    start = tar.offset + len(header.tobuf(tar.format, "utf-8", "surrogateescape"))
    tar.addfile(header, io.BytesIO(content))
    return start, header.size, zlib.crc32(content)


def read(tar: Path, name: str) -> bytes:
    """Read one file of a tar.

    Raises:
        FileNotFoundError: there is no such tar, or it has no such file.
        UserError: the tar or its index is damaged, or its address cannot be reached.
    """
    return read_all(tar, [name])[0]


def read_all(tar: Path, names: Sequence[str]) -> list[bytes]:
    """Read several files of a tar. Raises what `read` raises."""
    known = index(tar)
    try:
        places = [known[name] for name in names]
    except KeyError as e:
        raise FileNotFoundError(tar / e.args[0]) from e
    for name, (_, size, _) in zip(names, places, strict=True):
        if size > MAX_BYTES:
            _damaged(tar, f"{name} has {size} bytes, above {MAX_BYTES}")
    try:
        contents = _bytes(tar, tuple((start, size) for start, size, _ in places))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, OverflowError) as e:
        _damaged(tar, str(e), e)
    for name, (_, size, crc), content in zip(names, places, contents, strict=True):
        if len(content) != size or (crc is not None and zlib.crc32(content) != crc):
            _damaged(tar, f"{name} is not what was written")
    return contents


def _bytes(tar: Path, places: tuple[tuple[int, int], ...]) -> list[bytes]:
    if remote.is_remote(tar):
        return remote.ranges(tar, places)
    contents = []
    with tar.open("rb") as file:
        for start, size in places:
            file.seek(start)
            contents.append(file.read(size))
    return contents


def index(tar: Path) -> dict[str, Place]:
    """Return where each file of a tar is.

    Raises:
        FileNotFoundError: there is no such tar.
        UserError: the tar or its index is damaged, or its address cannot be reached.
    """
    if remote.is_remote(tar):
        return _index(tar, None, None)
    beside = tar.with_suffix(INDEX)
    return _index(tar, _state(tar), _state(beside) if beside.exists() else None)


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size


State = tuple[int, int]


@functools.lru_cache(maxsize=64)
def _index(tar: Path, state: State | None, beside: State | None) -> dict[str, Place]:
    """Where each file is. With the times and sizes of both files, the cache notices changes."""
    path = tar.with_suffix(INDEX) if beside else tar
    try:
        if state is None:
            return _parsed(_remote_index(tar))
        return _parsed(path.read_bytes()) if beside else _scanned(path)
    except FileNotFoundError:
        raise
    except DAMAGE as e:
        _damaged(path, str(e), e)


@functools.lru_cache(maxsize=4096)
def _remote_index(tar: Path) -> bytes:
    """Return the index of a tar at an address. As text, thousands of them need little memory."""
    try:
        return remote.content(tar.with_suffix(INDEX))
    except FileNotFoundError:
        return json.dumps(_scanned(tar)).encode()


def _parsed(content: bytes) -> dict[str, Place]:
    """Read an index.

    Raises:
        ValueError: it is not what `write` writes.
    """
    places: Any = json.loads(content)
    if not isinstance(places, dict):
        raise ValueError("is not an index")
    for place in places.values():
        if not (isinstance(place, list) and len(place) == 3 and all(map(_is_count, place[:2]))):
            raise ValueError("is not an index")
        if not (place[2] is None or _is_count(place[2])):
            raise ValueError("is not an index")
    return {name: tuple(place) for name, place in places.items()}


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _scanned(tar: Path) -> dict[str, Place]:
    """Find the plain files of a tar by its headers. Links and files with holes are left out.

    Raises:
        TarError: a header is damaged, or the tar has no end.
    """
    with _opened(tar) as file:
        with tarfile.open(fileobj=file, mode="r:", encoding="utf-8") as t:
            files = [m for m in t if m.isreg() and not m.issparse()]
            end = t.offset
        file.seek(end)  # tarfile takes a damaged header for the end
        if file.read(BLOCK) != bytes(BLOCK):
            raise tarfile.ReadError(f"no header at byte {end}")
    return {PurePosixPath(m.name).as_posix(): (m.offset_data, m.size, None) for m in files}


def _opened(tar: Path) -> AbstractContextManager[IO[bytes]]:
    if remote.is_remote(tar):
        return remote.open_address(remote.name_of(tar))
    if not tar.is_file():
        raise tarfile.ReadError("it is not a file")
    return tar.open("rb")


def _damaged(path: Path, why: str, cause: BaseException | None = None) -> NoReturn:
    raise UserError(f"{remote.name_of(path)}: {FIX} ({' '.join(why.split())})") from cause
