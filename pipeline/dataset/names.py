"""Rules for the names of classes and images."""

import difflib
import os
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from pipeline.core.arrays import CONTESTED
from pipeline.core.errors import UserError, listing

MAX_CLASSES = CONTESTED - 1  # labels hold 0 for background, then the classes
RESERVED = ("background", "id", "void")  # labels and score tables use these names themselves
MAX_ID_BYTES = 238  # a file name has at most 255 bytes; `ID_overlay.jpg.part` adds 17


def words(tags: str) -> list[str]:
    """Split a text at blanks, commas and semicolons: the tags as people write them."""
    return tags.replace(",", " ").replace(";", " ").split()


def check_encoding(folder: Path, files: Iterable[Path]) -> None:
    """Check the names of the files in `folder`.

    Raises:
        UserError: a name is not UTF-8.
    """
    names = [path.name for path in files]
    bad = [repr(name) for name in names if os.fsencode(name) != name.encode(errors="replace")]
    if bad:
        raise UserError(f"{folder}: not a UTF-8 file name: {listing(bad)}; rename the file")


def matched(name: str) -> str:
    """Return the form in which ids and file names are compared.

    Some macOS tools write a letter and its accent as two characters in file names.
    """
    return unicodedata.normalize("NFC", name).strip()


def folded(name: str) -> str:
    """Return what looks the same: without case, invisible characters and forms of accents."""
    visible = "".join(c for c in name if unicodedata.category(c) != "Cf")
    return unicodedata.normalize("NFC", visible).casefold()


def fault_of(classes: Mapping[str, str]) -> str:
    """Return what is wrong with the names of classes, and the fix; "" if nothing is.

    Args:
        classes: each name, and the text that names it in the message.
    """
    if len(classes) > MAX_CLASSES:
        return f"{len(classes)} classes; a label holds at most {MAX_CLASSES}, so merge some"
    if reserved := [text for name, text in classes.items() if name.casefold() in RESERVED]:
        return f"class {listing(reserved)}: the name is reserved; use another one"
    if split := [text for name, text in classes.items() if words(name) != [name]]:
        return f"class {listing(split)}: write one word, such as polar_bear"
    if control := [text for name, text in classes.items() if not _is_text(name)]:
        return f"class {listing(control)}: contains a control character; remove it"
    groups: dict[str, list[str]] = {}
    for name, text in classes.items():
        groups.setdefault(folded(name), []).append(text)
    if alike := [" and ".join(texts) for texts in groups.values() if len(texts) > 1]:
        return f"classes that look the same: {listing(alike)}; write each class in one way"
    return ""


def _is_text(name: str) -> bool:
    return all(unicodedata.category(c) not in ("Cc", "Cs") for c in name)


def nearest(name: str, classes: Collection[str]) -> str:
    """Return a hint at the class that is most like an unknown one; "" if none is like it."""
    by_look = {folded(c): c for c in classes}
    near = difflib.get_close_matches(folded(name), by_look, n=1)
    return f"did you mean {by_look[near[0]]!r}?" if near else ""


def is_too_long(key: str) -> bool:
    """Whether the names of an id's results would be too long for a file system."""
    return max(len(os.fsencode(part)) for part in key.split("/")) > MAX_ID_BYTES


def id_fault(key: str) -> str:
    """Return why a text cannot be the id of an image; "" if it can.

    An id may be a path, such as `dogs/a`. It must stay inside the folders of results.
    """
    folders = key.split("/")[:-1]
    if key.startswith("/"):
        return "starts with /"
    if "\\" in key:
        return "contains a backslash"
    if any(part in ("", ".", "..") for part in key.split("/")):
        return "has an empty part, or a part of dots alone"
    return "has a hidden folder" if any(part.startswith(".") for part in folders) else ""
