"""Errors that people can fix. They are shown as one line, without a traceback."""

from pathlib import Path


def printable(text: str, *, keep: str = "") -> str:
    r"""Write each character that a terminal would not show as an escape, such as \x1b.

    So a file name cannot move the cursor or hide a part of a line, and bytes of another encoding
    can be printed.

    Args:
        text: what to show.
        keep: characters that stay, such as a line end.
    """
    return "".join(c if c.isprintable() or c in keep else ascii(c)[1:-1] for c in text)


class UserError(Exception):
    """Bad input. The message names the file or the param, and how to fix it."""

    def __str__(self) -> str:
        """Return the message as one printable line, whatever names it holds."""
        return printable(super().__str__())


def unwritable(path: Path, error: OSError) -> UserError:
    """Return the error for a path that cannot be written, such as on a full disk."""
    why = error.strerror or str(error)
    return UserError(f"{path}: cannot be written ({why}); make room or choose another folder")


class MissingFileError(UserError):
    """A required file does not exist.

    When this ends a stage, `stages/_run.py` adds which stage makes the file.
    """

    def __init__(self, path: Path, hint: str = "") -> None:
        super().__init__(f"{path}: not found" + (f"; {hint}" if hint else ""))
        self.path, self.hint = path, hint

    def __reduce__(self) -> tuple[type["MissingFileError"], tuple[Path, str]]:
        """Copy the error from a worker process. By default, the message would become the path."""
        return MissingFileError, (self.path, self.hint)
