"""`python -m app.watched_dvc ARGUMENTS`: DVC that ends with all its children when its parent ends.

Without this, DVC would go on after `kill -9` of `cli.py`, and the next run would meet it.
"""

import contextlib
import runpy

import psutil

from pipeline.core import runtime


def kill_children() -> None:
    """Kill all processes that this process has started, and those that they have started."""
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


if __name__ == "__main__":
    runtime.watch_parent(at_end=kill_children)
    runpy.run_module("dvc", run_name="__main__", alter_sys=True)
