"""List the image files of a folder and its sub-folders.

The id of an image is its path below the folder, without the suffix: `a/b/c` for a/b/c.jpg.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from pipeline.dataset.names import check_encoding


def list_files(folder: Path, suffixes: Sequence[str]) -> list[str]:
    """Return the paths of the files with one of `suffixes`, relative to `folder`, sorted.

    Hidden folders and their content are left out. So is a folder that a link leads to twice.

    Args:
        folder: an existing folder.
        suffixes: in lower case, such as `.jpg`.

    Raises:
        UserError: a name is not UTF-8.
    """
    return sorted(_walk(folder, PurePosixPath(), suffixes, seen=set()))


def _walk(
    folder: Path, inside: PurePosixPath, suffixes: Sequence[str], *, seen: set[str]
) -> Iterator[str]:
    """Yield the files of `folder`, whose path is `inside` below the first one."""
    if (real := os.path.realpath(folder)) in seen:
        return
    seen.add(real)
    paths = sorted(folder.iterdir())
    check_encoding(folder, paths)
    for path in paths:
        if path.suffix.lower() in suffixes and not path.is_dir():
            yield str(inside / path.name)
        elif not path.name.startswith(".") and path.is_dir():
            yield from _walk(path, inside / path.name, suffixes, seen=seen)


def without_suffix(path: str) -> str:
    """Return a path, as `list_files` writes it, without the suffix of its file."""
    return path.removesuffix(PurePosixPath(path).suffix)


def id_of(path: str) -> str:
    """Return the id of an image: its path without the suffix, and without blanks around parts."""
    return "/".join(part.strip() for part in without_suffix(path).split("/"))
