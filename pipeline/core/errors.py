"""Errors that people can fix. They are shown as one line, without a traceback."""

import os
from collections.abc import Sequence
from pathlib import Path

# What people type before a verb. The command `guidelabel` sets the variable, also for its stages.
INSTALLED = __name__.startswith("guidelabel.")
COMMAND = os.environ.get("GUIDELABEL_COMMAND", "guidelabel" if INSTALLED else "python cli.py")
MAX_NAMED = 20  # how many faults of one kind an error names


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
    """Bad input. The message names the file or the param, and how to fix it.

    The first argument is the message. More arguments are lines below it, such as one for each file
    that is refused.
    """

    def __str__(self) -> str:
        """Return the message as one printable line, and the lines below it."""
        return "\n".join(printable(str(line)) for line in self.args)


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


def listing(faults: Sequence[object]) -> str:
    """Join faults of one kind: the first MAX_NAMED, and how many there are if there are more."""
    more = f", ... ({len(faults)} in all)" if len(faults) > MAX_NAMED else ""
    return ", ".join(map(str, faults[:MAX_NAMED])) + more


def at_lines(lines: Sequence[int]) -> str:
    """Name lines of a file, such as `line 3` or `lines 3, 5`."""
    return f"line{'s' if len(lines) > 1 else ''} {listing(lines)}"
