"""Files at addresses that fsspec opens, such as s3://bucket/photos/00000.tar.

Elsewhere in `pipeline`, such an address is a Path, in which pathlib leaves one slash:
s3:/bucket/photos/00000.tar. fsspec keeps the file systems itself, and forgets them after a fork. So
each call here asks for them again.
"""

import contextlib
import functools
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from pipeline.core.errors import UserError

MARK = "://"
PLAIN = ("http", "ftp")  # anybody on the way could change what they send
HERE = ("file", "local")
HOST_HAS_AT = ("abfs", "abfss")  # abfs://CONTAINER@ACCOUNT.dfs.core.windows.net


def is_remote(path: Path) -> bool:
    """Whether a path stands for an address."""
    first = path.parts[0] if path.parts else ""
    return len(path.parts) > 1 and first.endswith(":") and len(first) > 2


def name_of(path: Path) -> str:
    """Return the address for which a path stands, or else the path as it is."""
    text = path.as_posix()
    return text.replace(":/", MARK, 1) if is_remote(path) else text


def shown(address: str) -> str:
    """Return an address without what may be secret: a password, or a signature in the query."""
    protocol, mark, rest = address.partition(MARK)
    host, slash, inside = rest.partition("/")
    if protocol not in HOST_HAS_AT:
        host = host.rpartition("@")[2]
    return protocol + mark + host + slash + inside.partition("?")[0].partition("#")[0]


def check(address: str) -> None:
    """Check that an address can be read safely.

    Raises:
        UserError: it is not encrypted, holds a user name, or leads to another address.
    """
    protocol, _, rest = address.partition(MARK)
    host = rest.partition("/")[0]
    if protocol in PLAIN:
        fault = "is not encrypted; use https, or get the file another way"
    elif "@" in host and protocol not in HOST_HAS_AT:
        fault = "holds a user name or a password; give them to the driver, not in the address"
    elif "::" in address:
        fault = "joins several addresses; write one"
    else:
        return
    raise UserError(f"{shown(address)}: {fault}")


@contextlib.contextmanager
def _system(address: str) -> Iterator[tuple[Any, str]]:
    """Yield the file system of an address, and the path there.

    Drivers raise errors of every kind. In the block, they become a UserError.
    """
    check(address)
    try:
        from fsspec.core import url_to_fs

        yield url_to_fs(address)
    except (UserError, FileNotFoundError, tarfile.TarError):
        raise
    except ImportError as e:  # fsspec says: Install s3fs to access S3
        raise UserError(f"{shown(address)}: needs a package that is not installed: {e}") from e
    except Exception as e:
        public = shown(address) == address
        why = " ".join((str(e) if public else "").split()) or type(e).__name__
        raise UserError(
            f"{shown(address)}: cannot be read ({why}); check the address, the connection and "
            "your rights"
        ) from e


def content(path: Path) -> bytes:
    """Read a whole file.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: it cannot be reached.
    """
    with _system(name_of(path)) as (system, inside):
        return system.cat_file(inside)


@functools.lru_cache(maxsize=4)  # `prepare` and `doctor` open an image several times
def ranges(path: Path, places: tuple[tuple[int, int], ...]) -> list[bytes]:
    """Read byte ranges of a file: the offset and the number of bytes of each.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: it cannot be reached.
    """
    wanted = [(start, start + size) for start, size in places if size]
    with _system(name_of(path)) as (system, inside):
        starts, ends = [start for start, _ in wanted], [end for _, end in wanted]
        contents = system.cat_ranges([inside] * len(wanted), starts, ends)
        for error in (content for content in contents if isinstance(content, Exception)):
            raise error  # old drivers do not raise it, whatever they are asked
    read = iter(contents)
    return [next(read) if size else b"" for _, size in places]


@contextlib.contextmanager
def open_address(address: str) -> Iterator[IO[bytes]]:
    """Open a file in which a reader can seek.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: it cannot be reached.
    """
    with _system(address) as (system, inside), system.open(inside, "rb") as file:
        yield file


def found(pattern: str) -> list[Path]:
    """Return the files that fit a pattern, such as s3://bucket/photos/*.tar, sorted.

    Raises:
        UserError: the address cannot be reached, or is none of a folder.
    """
    protocol = pattern.partition(MARK)[0]
    if protocol in HERE:
        raise UserError(f"{pattern}: is on this machine; write the path instead")
    if protocol == "https":
        raise UserError(f"{shown(pattern)}: a web server does not list its files; copy them first")
    with _system(pattern) as (system, inside):
        try:
            paths = system.glob(inside)
        except FileNotFoundError:
            paths = []
    return sorted(Path(f"{protocol}:") / path.lstrip("/") for path in paths)


@functools.lru_cache(maxsize=4096)
def state(path: Path) -> str:
    """Return what changes when a file does. A process asks once.

    Raises:
        OSError: there is no such file, or it cannot be reached.
    """
    try:
        with _system(name_of(path)) as (system, inside):
            return str(system.ukey(inside))
    except UserError as e:
        raise OSError(str(e)) from e
