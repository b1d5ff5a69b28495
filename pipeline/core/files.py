"""Check a file before it is read."""

import stat
from pathlib import Path

from pipeline.core.errors import UserError


def check(path: Path, *, max_bytes: int) -> None:
    """Check that reading a file ends, and does not fill the memory.

    A pipe or a device may never end. A folder passes, because opening it fails at once.

    Raises:
        OSError: there is no such file, or the system cannot reach it.
        UserError: it is neither a file nor a folder, or it is larger than `max_bytes`.
    """
    status = path.stat()
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise UserError(f"{path}: is a pipe, a socket or a device; replace it by a file")
    if status.st_size > max_bytes:
        raise UserError(
            f"{path}: has {status.st_size / 1e9:.1f} GB, and at most {max_bytes / 1e9:.1f} GB are "
            "read; replace or split it"
        )
