"""Match what a file calls an image with the images of a folder.

Tools name an image by its path on another machine, by a URL, or by a name of their own. So an
image is found by the longest end of that path which exactly one image has.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from pipeline.core.formats import SUFFIXES
from pipeline.dataset.names import matched

UPLOAD = re.compile(r"^[0-9a-f]{8}-")  # Label Studio puts this before the name of an upload


class Matcher:
    """Finds images by their paths."""

    def __init__(self, images: Iterable[str]) -> None:
        """Take the path of each image, relative to the folder of all images."""
        self._by_path: defaultdict[str, set[str]] = defaultdict(set)
        self._by_end: defaultdict[str, set[str]] = defaultdict(set)
        for image in images:
            self._by_path[matched(image)].add(image)
            self._by_path[without_suffix(matched(image))].add(image)
            for end in _ends(matched(image)):
                self._by_end[end].add(image)
                self._by_end[without_suffix(end)].add(image)

    def find(self, name: str) -> str | None:
        """Return the path of the image that a file calls `name`; None if none or several fit."""
        for path in _readings(name):
            candidates = [self._by_path.get(path, ())]
            candidates += [self._by_end.get(end, ()) for end in _ends(path)]
            if fitting := next((c for c in candidates if len(c) == 1), None):
                return next(iter(fitting))
        return None


def _readings(name: str) -> Iterator[str]:
    """Yield the paths that a name may mean, the likeliest first."""
    plain = matched(name.replace("\\", "/")).removeprefix("./")
    yield plain
    parts = _split_url(plain)
    if parts is None:
        return
    url, query = parts
    local = [value for values in parse_qs(query).values() for value in values]
    paths = [matched(path) for path in (*local, unquote(url)) if path]
    yield from paths
    for path in (plain, *paths):
        folder, _, last = path.rpartition("/")
        if UPLOAD.match(last):
            yield f"{folder}/{UPLOAD.sub('', last)}"


def _split_url(name: str) -> tuple[str, str] | None:
    """Return the path and the query of a URL; None if it is not valid."""
    try:
        parts = urlsplit(name)
        return parts.path, parts.query
    except ValueError:
        return None


def _ends(path: str) -> Iterator[str]:
    """Yield a path, then its shorter ends, down to the file name."""
    parts = PurePosixPath(path).parts
    for start in range(len(parts)):
        yield "/".join(parts[start:])


def without_suffix(path: str) -> str:
    """Return a path without the suffix of a photograph."""
    stem, dot, suffix = path.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in SUFFIXES else path
