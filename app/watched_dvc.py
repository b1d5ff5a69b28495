"""`python -m app.watched_dvc ARGUMENTS`: DVC that ends with all its children when its parent ends.

Without this, DVC would go on after `kill -9` of `cli.py`, and the next run would meet it. It also
says what DVC's `exited with -9` means.
"""

import contextlib
import logging
import re
import runpy
import signal
import sys
from typing import Any, ClassVar

import psutil

from pipeline.core import faults, runtime


def kill_children() -> None:
    """Kill all processes that this process has started, and those that they have started."""
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


def explain_signal(text: str) -> str:
    """Say what `exited with -9` or `137` means, and what to do. Return "" for other ends."""
    if not (found := re.search(r"exited with (-?\d+)", text)):
        return ""
    code = int(found[1])
    number = -code if code < 0 else code - 128  # a shell adds 128
    if number == signal.SIGKILL:
        what = "the system killed the stage"
    elif number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS):
        what = "a library crashed"
    else:
        return ""
    return f"{what} (signal {number}), perhaps because memory ran out; {faults.less_memory()}"


class Record(logging.LogRecord):
    """A record of a log that notes what DVC's errors say about signals."""

    explanations: ClassVar[list[str]] = []

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        if self.levelno >= logging.ERROR:
            error = self.exc_info[1] if self.exc_info else None
            texts = [self.getMessage(), *map(str, faults.causes(error))]
            self.explanations.extend(filter(None, map(explain_signal, texts)))


if __name__ == "__main__":
    runtime.watch_parent(at_end=kill_children)
    logging.setLogRecordFactory(Record)
    try:
        runpy.run_module("dvc", run_name="__main__", alter_sys=True)
    finally:
        for line in dict.fromkeys(Record.explanations):
            print(f"\n{line}", file=sys.stderr)
