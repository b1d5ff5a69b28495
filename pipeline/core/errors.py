"""Errors that people can fix. They are shown as one line, without a traceback."""

from collections.abc import Sequence
from pathlib import Path

MAX_NAMED = 20  # of the files with the same fault, this many are named


class UserError(Exception):
    """Bad input. The message names the file or the param, and how to fix it."""


class MissingFileError(UserError):
    """A required file does not exist.

    When this ends a stage, `stages/_run.py` adds which stage makes the file.
    """

    def __init__(self, path: Path, hint: str = "") -> None:
        super().__init__(f"{path}: not found" + (f"; {hint}" if hint else ""))
        self.path = path


def name_some(names: Sequence[str]) -> str:
    """List the first MAX_NAMED of the names."""
    return ", ".join(names[:MAX_NAMED]) + (", ..." if names[MAX_NAMED:] else "")
