"""Processes of this machine as workers of `engine`."""

import traceback
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from pipeline.core import faults, runtime
from pipeline.core.engine import Chunk, Place, Work, compute


class _Here:
    """This process as a worker."""

    def __init__(self, work: Work) -> None:
        self.work = work

    def submit(self, chunk: Chunk) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(compute(self.work, chunk))
        except Exception as e:
            for error in faults.causes(e):  # the second try needs the memory that they hold
                traceback.clear_frames(error.__traceback__)
            future.set_exception(e)
        return future

    def stop(self) -> None:
        pass


class _Process:
    """A process on this machine as a worker. Its work must not use torch."""

    work: Work  # in that process

    def __init__(self, work: Work) -> None:
        self.pool = ProcessPoolExecutor(1, initializer=self._begin, initargs=(work,))

    @classmethod
    def _begin(cls, work: Work) -> None:
        runtime.leave_with_parent()
        cls.work = work

    @classmethod
    def _compute(cls, chunk: Chunk) -> Any:
        return compute(cls.work, chunk)

    def submit(self, chunk: Chunk) -> "Future[Any]":
        return self.pool.submit(self._compute, chunk)

    def stop(self) -> None:
        self.pool.shutdown(cancel_futures=True)


def place(network: bool, units: int) -> Place:
    """Choose this process for a network, and otherwise as many processes as may work."""
    count = 1 if network else min(runtime.workers(), units)
    if count == 1:
        return Place(_Here, 1)
    advice = f"set GUIDELABEL_WORKERS to less than {count}, then {faults.AGAIN}"
    return Place(_Process, count, (BrokenProcessPool,), advice)
