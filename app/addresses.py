"""Get the photographs that a list names by their paths or addresses."""

import http.client
import sys
import urllib.error
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from app import fetch
from pipeline.core import decoding, files, remote, runtime, tables
from pipeline.core.errors import UserError
from pipeline.core.formats import SUFFIXES
from pipeline.dataset.image_files import id_of
from pipeline.dataset.names import matched

STDIN = Path("-")
TOGETHER = 16  # downloads at a time
HTTPS = "https://"


def collect(source: Path, folder: Path) -> list[str]:
    """Put the photographs of a list into a folder: downloads, and links to files of this machine.

    Args:
        source: a text file with a path or an address a line, or `-` for the standard input.
        folder: a new folder. A photograph keeps its name, without the folders before it.

    Returns:
        A line for each entry that cannot be read: the entry, without what may be secret, and why.

    Raises:
        UserError: the list cannot be read, or none of its entries.
    """
    text = sys.stdin.read() if source == STDIN else tables.read_text(source)
    entries = [line.strip() for line in text.splitlines() if line.strip()]
    folder.mkdir()
    targets, faults = _targets(entries, folder)
    with ThreadPoolExecutor(TOGETHER) as pool:
        found = pool.map(_get, targets.values(), targets)
        for entry, fault in zip(
            targets.values(), runtime.track(found, total=len(targets), title="list"), strict=True
        ):
            if fault:
                faults.append(_line(entry, fault))
    if len(faults) == len(entries):
        first = f", such as {faults[0]}" if faults else ""
        raise UserError(f"{source}: names no photograph that can be read{first}")
    return faults


def _targets(entries: Sequence[str], folder: Path) -> tuple[dict[Path, str], list[str]]:
    """Return where each entry goes, and a line for each entry that goes nowhere."""
    targets, faults, first = dict[Path, str](), list[str](), dict[str, str]()
    for entry in entries:
        name = _name(entry)
        key = matched(id_of(name))
        if PurePosixPath(name).suffix.lower() not in SUFFIXES:
            faults.append(_line(entry, f"has none of the suffixes {' '.join(SUFFIXES)}"))
        elif key in first:
            faults.append(_line(entry, f"has the name of {remote.shown(first[key])}"))
        else:
            first[key] = targets[folder / name] = entry
    return targets, faults


def _name(entry: str) -> str:
    """Return the last part of a path or an address."""
    return PurePosixPath(unquote(urlsplit(entry).path) if _is_https(entry) else entry).name


def _is_https(entry: str) -> bool:
    return entry.startswith(HTTPS)


def _line(entry: str, fault: str) -> str:
    return f"{remote.shown(entry) if remote.MARK in entry else entry}: {fault}"


def _get(entry: str, target: Path) -> str:
    """Copy or link one entry. Return why it cannot be read; "" if it can."""
    fault = ""
    try:
        _copy(entry, target)
    except UserError as e:
        fault = str(e).removeprefix(f"{remote.shown(entry)}: ")
    except (http.client.HTTPException, ValueError):  # the message may hold the whole address
        fault = "is not a valid address, or the server answers with something other than HTTP"
    except urllib.error.HTTPError as e:
        fault = f"the server answers {e.code}"
    except FileNotFoundError:
        fault = "not found"
    except OSError as e:
        fault = str(getattr(e, "reason", None) or e.strerror or type(e).__name__)
    if fault:
        target.unlink(missing_ok=True)
    return fault


def _copy(entry: str, target: Path) -> None:
    most = decoding.max_bytes()
    if remote.MARK not in entry:
        files.check(Path(entry), max_bytes=most)
        target.symlink_to(Path(entry).absolute())
    elif _is_https(entry):
        remote.check(entry)
        with fetch.open_over_tls(entry) as answer:
            length = answer.headers.get("Content-Length")
            size = _save(answer, target, max_bytes=most)
        if length and size < int(length):
            raise UserError("the connection broke off")
    else:
        with remote.open_address(entry) as file:
            _save(file, target, max_bytes=most)


def _save(file: Any, target: Path, *, max_bytes: int) -> int:
    """Write what `file` holds to `target`, and return the number of bytes.

    Raises:
        UserError: there are more than `max_bytes`.
    """
    size = 0
    with target.open("wb") as out:
        for chunk in iter(lambda: file.read(fetch.CHUNK), b""):
            size += out.write(chunk)
            if size > max_bytes:
                raise UserError(f"has more than {max_bytes / 1e9:.1f} GB, so it is not read")
    return size
