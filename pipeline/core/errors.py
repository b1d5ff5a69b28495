"""Errors that people can fix. They are shown as one line, without a traceback."""

from pathlib import Path


class UserError(Exception):
    """Bad input. The message names the file or the param, and how to fix it."""


class MissingFileError(UserError):
    """A required file does not exist.

    When this ends a stage, `stages/_run.py` adds which stage makes the file.
    """

    def __init__(self, path: Path, hint: str = "") -> None:
        super().__init__(f"{path}: not found" + (f"; {hint}" if hint else ""))
        self.path = path
