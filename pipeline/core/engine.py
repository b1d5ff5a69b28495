"""Give chunks of work to processes: those of this machine, or those of a Ray cluster.

Work turns a chunk of items into files or results when it is called. Each process makes its own, so
it loads a network once. GUIDELABEL_ENGINE says where:

    local  here: a network in this process, other work in several (the default; `local_processes`)
    ray    on all machines of a Ray cluster (`ray_cluster`)

A chunk that raises an error, or whose process or machine dies, is computed again. If it fails
twice, the stage ends. What is finished stays, because each file is whole or not there.
"""

import functools
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pipeline.core import faults, ranks, runtime
from pipeline.core.errors import UserError, listing

T = TypeVar("T")
M_co = TypeVar("M_co", covariant=True)
Chunk = Sequence[Any]

ATTEMPTS = 2
STARTING = -1  # in place of the number of a chunk


class Once(Generic[M_co]):
    """Calls `make` at most once in a process. Another process gets `make`, not what it made."""

    def __init__(self, make: Callable[[], M_co]) -> None:
        self.make = make

    def __reduce__(self) -> tuple[type["Once[M_co]"], tuple[Callable[[], M_co]]]:
        return Once, (self.make,)

    @functools.cached_property
    def made(self) -> M_co:
        """What `make` made."""
        return self.make()


Work = Once[Callable[[Chunk], Any]]


@dataclass(frozen=True)
class Place:
    """Where chunks are computed, and by how many workers.

    `start(work)` starts a worker. Its `submit(chunk)` returns a future. An empty chunk only tells
    when the worker is ready. Its `stop()` ends it.
    """

    start: Callable[[Work], Any]
    count: int
    gone: tuple[type[Exception], ...] = ()  # the errors that mean that a worker is dead
    advice: str = ""  # what to do if memory runs out, and so workers are killed
    chunk: int = 8  # items of a chunk without a network, if there are many


def run(work: Work, units: Sequence[Chunk], *, title: str, network: bool = False) -> Iterator[Any]:
    """Compute `units` in chunks, and yield the result of each chunk, in order.

    Args:
        work: makes what is called with each chunk.
        units: lists of items. A chunk holds the items of one unit or more.
        title: the title of the progress bar.
        network: whether the work uses a network, and so a GPU if there is one.

    Raises:
        UserError: the input is bad, or a chunk failed twice.
    """
    if not units:
        return
    place = _place(network, len(units))
    # A network's chunk is larger, because each one starts the processes that load its images.
    most = min(256, max(16, len(units) // 32)) if network else place.chunk
    size = max(1, min(most, len(units) // (4 * place.count)))
    groups = [units[k : k + size] for k in range(0, len(units), size)]
    chunks = [[item for unit in group for item in unit] for group in groups]
    early: dict[int, Any] = {}
    with runtime.progress(total=sum(map(len, chunks)), title=title) as bar:
        first = 0
        for number, early[number] in _Pool(work, chunks, place).results():
            bar.update(len(chunks[number]))
            while first in early:
                yield early.pop(first)
                first += 1


def each(function: Callable[[T], Any], items: Sequence[T], *, title: str) -> Iterator[Any]:
    """Call a function that uses no torch with each item, and yield the results in order."""
    work = Once(functools.partial(_Each, function))
    for results in run(work, [[item] for item in items], title=title):
        yield from results


@dataclass(frozen=True)
class _Each:
    function: Callable[[Any], Any]

    def __call__(self, chunk: Chunk) -> list[Any]:
        return [self.function(item) for item in chunk]


def compute(work: Work, chunk: Chunk) -> Any:
    """Compute a chunk in a worker."""
    return work.made(chunk) if chunk else None


class _Pool:
    """The workers of one run, and what each of them does."""

    def __init__(self, work: Work, chunks: Sequence[Chunk], place: Place) -> None:
        self.work, self.chunks, self.place = work, chunks, place
        self.todo, self.failed = deque(range(len(chunks))), Counter[int]()
        self.idle: list[Any] = []
        self.busy: dict[Future[Any], tuple[Any, int]] = {}

    def results(self) -> Iterator[tuple[int, Any]]:
        """Yield the number and the result of each chunk as soon as it is computed."""
        left = len(self.chunks)
        try:
            for _ in range(min(self.place.count, left)):
                self._start()
            while left:
                self._employ()
                for future in wait(self.busy, return_when=FIRST_COMPLETED).done:
                    number = self._take_back(future)
                    if number is not None:
                        left -= 1
                        yield number, future.result()
        finally:
            for worker in [*self.idle, *(worker for worker, _ in self.busy.values())]:
                worker.stop()

    def _start(self) -> None:
        self._give(self.place.start(self.work), STARTING)

    def _employ(self) -> None:
        """Give a chunk to each idle worker. Stop it if none is left: it could die unnoticed."""
        while self.idle:
            worker = self.idle.pop()
            if self.todo:
                self._give(worker, self.todo.popleft())
            else:
                worker.stop()

    def _give(self, worker: Any, number: int) -> None:
        try:
            future = worker.submit(self._chunk(number))
        except self.place.gone as e:  # it died after its last chunk
            future = Future()
            future.set_exception(e)
        self.busy[future] = worker, number

    def _chunk(self, number: int) -> Chunk:
        return () if number == STARTING else self.chunks[number]

    def _take_back(self, future: "Future[Any]") -> int | None:
        """Return the number of the chunk that a worker has finished; None if it has not."""
        worker, number = self.busy.pop(future)
        if error := future.exception():
            if isinstance(cause := getattr(error, "cause", None), Exception):  # Ray wraps it
                cause.__cause__, error = error, cause  # the text of the wrapper is the traceback
            self._fail(worker, number, error)
            return None
        self.idle.append(worker)
        self.failed[STARTING] = 0
        return None if number == STARTING else number

    def _fail(self, worker: Any, number: int, error: Any) -> None:
        """Have the chunk computed again. A new worker takes the place of one that failed.

        Raises:
            Exception: the input is bad, or the chunk failed twice.
        """
        worker.stop()
        self.failed[number] += 1
        if isinstance(error, UserError) or self.failed[number] == ATTEMPTS:
            raise _explained(error, self._chunk(number), self.place)
        if number != STARTING:
            self.todo.appendleft(number)
        self._start()


def _explained(error: Exception, chunk: Chunk, place: Place) -> Exception:
    """Return the error of a chunk that failed twice: what happened, and to which images."""
    if isinstance(error, UserError):  # it names its file
        return error
    if not chunk:
        reason = str(error).strip().rpartition("\n")[2]
        return UserError(
            f"no worker process starts: {reason}; perhaps memory ran out, or a machine lacks the "
            "project at the same path, or its packages"
        )
    killed = f"a worker process was killed twice, perhaps because memory ran out; {place.advice}"
    gone = isinstance(error, place.gone)
    line = killed if gone else faults.explain(error, advice=place.advice)
    twice = f"failed twice: {_named(chunk)}"
    if line:
        return UserError(f"{line} ({twice})")
    error.add_note(twice)
    return error


def _named(chunk: Chunk) -> str:
    """Name the images or files of a chunk. An item may be a tuple that holds one."""
    parts = [part for item in chunk for part in (item if isinstance(item, tuple) else (item,))]
    files = [part for part in parts if isinstance(part, Path)]
    return listing([part.id for part in parts if hasattr(part, "id")] or files)


def _place(network: bool, units: int) -> Place:
    """Choose the workers.

    Raises:
        UserError: GUIDELABEL_ENGINE is wrong, or Ray is missing or does not answer.
    """
    from pipeline.core import local_processes, ray_cluster

    return ray_cluster.place(network) if on_ray() else local_processes.place(network, units)


def hardware() -> str:
    """Name the GPUs that Ray may use, for the key of a resume folder; "" without Ray."""
    if not on_ray():
        return ""
    from pipeline.core import ray_cluster

    return ray_cluster.hardware()


def on_ray() -> bool:
    """Whether Ray computes. The ranks of a training do without it.

    Raises:
        UserError: GUIDELABEL_ENGINE is neither `local` nor `ray`.
    """
    asked = os.environ.get("GUIDELABEL_ENGINE") or "local"
    if asked not in ("local", "ray"):
        raise UserError(f"GUIDELABEL_ENGINE={asked}: must be local or ray")
    return asked == "ray" and not ranks.inside()
