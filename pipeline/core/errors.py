"""Errors that people can fix: shown as one line, never as a traceback."""

from pathlib import Path


class UserError(Exception):
    """Bad input; the message names the file or the param, and the fix."""


class MissingFileError(UserError):
    """A file that should be there; the stages' runner adds which stage makes it."""

    def __init__(self, path: Path, hint: str = "") -> None:
        super().__init__(f"{path}: not found" + (f"; {hint}" if hint else ""))
        self.path = path
