"""One line for faults of the machine: a full disk, memory that ran out, a killed loader process."""

import errno
import os
import shutil
from collections.abc import Iterator
from typing import TypeGuard

from pipeline.core import runtime

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_MEMORY = (  # parts of messages of torch, OpenCV, CUDA, fork, threads and the dynamic loader
    "can't allocate memory",
    "cannot allocate memory",
    "insufficient memory",
    "out of memory",
    "can't start new thread",
    "failed to map segment",
)
NO_REASON = ("without exception set", "without setting an exception")  # messages of Python
AGAIN = "run the same command again: finished work is kept"


def explain(error: Exception, *, advice: str = "") -> str:
    """Say in one line what happened and what to do. Return "" if it is no fault of the machine.

    `advice` is what to do if memory ran out. Without it, that is `less_memory()`.
    """
    if full := next((e for e in causes(error) if _is_disk_full(e)), None):
        where = f"{full.filename}: " if full.filename else ""
        return f"{where}the disk is full ({full.strerror}); make room, then {AGAIN}"
    if isinstance(error, shutil.Error):  # of many files; it tells the reasons only as texts
        texts = tuple(map(os.strerror, DISK_FULL))
        named = [target for _, target, why in error.args[0] if any(text in why for text in texts)]
        return f"{named[0]}: the disk is full; make room, then {AGAIN}" if named else ""
    if isinstance(error, FileNotFoundError) and "usable temporary directory" in str(error):
        return f"no temporary file can be written; make room in /tmp or set TMPDIR, then {AGAIN}"
    what = _memory_fault(error)
    return what and f"{what}; {advice or less_memory()}"


def _memory_fault(error: Exception) -> str:
    """Say how memory ran out, or "" if it did not."""
    if "DataLoader worker" in str(error):
        return "a process that loads images was killed, perhaps because memory ran out"
    if any(map(_is_no_memory, causes(error))):
        return "memory ran out"
    no_reason = isinstance(error, SystemError) and any(part in str(error) for part in NO_REASON)
    return "Python failed without a reason, perhaps because memory ran out" if no_reason else ""


def less_memory() -> str:
    """Say what to do if memory ran out."""
    several = (count := runtime.workers()) > 1
    fewer = f"set GUIDELABEL_WORKERS to less than {count}, or " if several else ""
    return f"{fewer}lower batch or size_px in params.yaml, then {AGAIN}"


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and those behind it: libraries raise errors of their own over the machine's.

    So torch.save does over a full disk's, and triton over missing memory's.
    """
    cause = error
    while cause:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _is_no_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(part in text for part in NO_MEMORY)


def _is_disk_full(error: BaseException) -> TypeGuard[OSError]:
    return isinstance(error, OSError) and error.errno in DISK_FULL
