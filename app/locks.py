"""DVC's lock files after a kill: find damaged ones, and restore their last valid copies."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

from pipeline.core.errors import COMMAND, UserError
from pipeline.core.layout import Layout
from pipeline.core.locks import is_valid

RWLOCK = Path(".dvc/tmp/rwlock")  # where DVC records which process uses which path
WRITE_SECONDS = 1.0  # DVC writes that file in much less


def damaged(layout: Layout) -> list[Path]:
    """List the lock files that DVC would refuse."""
    broken = [lock for lock in layout.locks if lock.exists() and not is_valid(lock)]
    rwlock = layout.root / RWLOCK
    return broken if _is_json(rwlock) else [*broken, rwlock]


def require_valid(layout: Layout) -> None:
    """Check the lock files.

    Raises:
        UserError: one is damaged.
    """
    for lock in damaged(layout):
        raise UserError(
            f"{lock}: is damaged, as after a kill while DVC wrote it; `{COMMAND} run` "
            "restores it and loses no result"
        )


def restore(layout: Layout) -> Iterator[str]:
    """Replace damaged lock files by their last valid copies, and yield a line for each.

    A file without a valid copy is removed. DVC writes it again, and finds the results of all
    finished stages in its run cache.
    """
    for lock in damaged(layout):
        kept = layout.kept_lock(lock) if lock in layout.locks else None
        if kept and kept.exists() and is_valid(kept):
            kept.replace(lock)
            yield f"{lock} was damaged, as after a kill; restored its last valid copy"
        else:
            lock.unlink()
            yield f"{lock} was damaged, as after a kill; removed it, and DVC writes it again"


def _is_json(path: Path) -> bool:
    """Whether a file, if it exists, is complete. DVC may be writing it, so look twice."""
    for seconds in (WRITE_SECONDS, 0):
        try:
            json.loads(path.read_text())
        except FileNotFoundError:
            return True
        except ValueError:
            time.sleep(seconds)
        else:
            return True
    return False
