"""DVC's cache: make DVC verify the files that it restores from there."""

import contextlib
import stat
from pathlib import Path

CACHE = Path(".dvc/cache/files/md5")


def distrust(folder: Path = CACHE) -> None:
    """Make all files of the cache writable, because DVC trusts a read-only file.

    After a power cut, such a file may be cut off, and DVC would restore it as it is. DVC verifies a
    writable file before it uses it, and makes it read-only again. It removes a damaged file, and
    runs the stage that made it.
    """
    for file in folder.glob("*/*"):
        with contextlib.suppress(OSError):  # removed meanwhile, or owned by somebody else
            mode = stat.S_IMODE(file.stat().st_mode)
            if not mode & stat.S_IWUSR:
                file.chmod(mode | stat.S_IWUSR)
