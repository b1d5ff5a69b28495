"""Errors that people can fix. They are shown as one line, without a traceback."""

from collections.abc import Sequence
from pathlib import Path

MAX_NAMED = 20  # how many faults of one kind an error names


class UserError(Exception):
    """Bad input. The message names the file or the param, and how to fix it."""


class MissingFileError(UserError):
    """A required file does not exist.

    When this ends a stage, `stages/_run.py` adds which stage makes the file.
    """

    def __init__(self, path: Path, hint: str = "") -> None:
        super().__init__(f"{path}: not found" + (f"; {hint}" if hint else ""))
        self.path = path


def listing(faults: Sequence[object]) -> str:
    """Join faults of one kind: the first MAX_NAMED, and how many there are if there are more."""
    more = f", ... ({len(faults)} in all)" if len(faults) > MAX_NAMED else ""
    return ", ".join(map(str, faults[:MAX_NAMED])) + more


def at_lines(lines: Sequence[int]) -> str:
    """Name lines of a file, such as `line 3` or `lines 3, 5`."""
    return f"line{'s' if len(lines) > 1 else ''} {listing(lines)}"
