"""What a run stands on: device, precision, random seeds, workers, progress.

None of it is a param, because none of it may change a result's meaning. Environment variables:
GUIDELABEL_DEVICE (auto, cpu, cuda, mps), GUIDELABEL_PRECISION (auto, float32, bfloat16),
GUIDELABEL_WORKERS (processes that load, check, run the CRF, count).
"""

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import InvalidStateError, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any, TypeVar

from tqdm import tqdm

from pipeline.core import ranks
from pipeline.core.errors import UserError

if TYPE_CHECKING:
    import torch


T = TypeVar("T")
R = TypeVar("R")

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # of glibc's malloc.h


def workers() -> int:
    """How many processes may work beside each other; at least 1."""
    asked = os.environ.get("GUIDELABEL_WORKERS", "")
    if asked and not asked.isdigit():
        raise UserError(f"GUIDELABEL_WORKERS={asked}: must be a whole number")
    if asked:
        return max(1, int(asked))
    share = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if share else os.cpu_count() or 1
    return max(1, cores // ranks.beside())


def device() -> "torch.device":
    """The device to run on: CUDA, then MPS, then the CPU, unless GUIDELABEL_DEVICE says."""
    import torch

    asked = os.environ.get("GUIDELABEL_DEVICE", "auto")
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if asked == "auto":
        asked = next(name for name, ok in there.items() if ok)
    if not there.get(asked.split(":")[0], False):
        raise UserError(f"GUIDELABEL_DEVICE={asked}: not on this machine; use auto or cpu")
    if asked == "cuda" and ranks.local() >= torch.cuda.device_count():
        raise UserError(
            f"{torch.cuda.device_count()} GPUs for more ranks; start as many, or "
            "set GUIDELABEL_DEVICE=cpu"
        )
    return torch.device(f"cuda:{ranks.local()}" if asked == "cuda" else asked)


def bf16_pays(on: "torch.device") -> bool:
    """Whether bf16 autocast is worth it: GPUs that have it, CPUs with AVX-512 BF16 or AMX."""
    import torch

    asked = os.environ.get("GUIDELABEL_PRECISION", "auto")
    if asked not in ("auto", "float32", "bfloat16"):
        raise UserError(f"GUIDELABEL_PRECISION={asked}: is none of auto, float32, bfloat16")
    if asked != "auto":
        return asked == "bfloat16"
    if on.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return on.type == "cpu" and torch.cpu._is_avx512_bf16_supported()


def keep_memory() -> None:
    """Have glibc keep the memory that a layer has freed for the next one.

    By default it hands large pieces back to the system, which clears every page before it lends it
    again; on a CPU that took half the time of a forward pass over large batches. What is free by
    now does go back, once: loader processes, which inherit the rule, share this one's pages, and
    each page kept would be copied when it is next written.
    """
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # another C library
            libc = ctypes.CDLL(None)
            mallopt = libc.mallopt
            libc.malloc_trim(0)
            mallopt(M_MMAP_MAX, 0)
            mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
            mallopt(M_TOP_PAD, 2**26)


def autocast(on: "torch.device") -> contextlib.AbstractContextManager[Any]:
    """bf16 autocast where it pays, nothing elsewhere."""
    import torch

    if not bf16_pays(on):
        return contextlib.nullcontext()
    return torch.autocast(on.type, torch.bfloat16)


def seed_all(seed: int, epoch: int = 0) -> None:
    """Seed torch's generators from (seed, epoch), so that a resumed epoch equals the first try."""
    import torch

    torch.manual_seed((seed * 1_000_003 + epoch) % 2**63)


def describe() -> dict[str, str]:
    """Device, precision and version, to be kept with a model and its scores."""
    import torch

    on = device()
    name = torch.cuda.get_device_name(on) if on.type == "cuda" else on.type
    return {
        "device": name,
        "precision": "bfloat16" if bf16_pays(on) else "float32",
        "torch": torch.__version__.split("+")[0],
    }


def loader_processes() -> int:
    """Loader processes: 0 on two cores, where they would take time from the network."""
    import torch

    few = workers() <= 2 and not torch.cuda.is_available()
    return 0 if few else max(1, workers() // 2)


def one_thread(_: int) -> None:
    """Initialise a loader process: it shares the cores with others."""
    import cv2
    import torch

    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def say(line: str) -> None:
    """One line to people, on stderr; of several ranks the first speaks."""
    if ranks.first():
        tqdm.write(line, file=sys.stderr)


def track(items: Iterable[T], *, total: int, what: str) -> Iterator[T]:
    """Pass `items` on with a progress bar; where stderr is no terminal, a line every 30 s."""
    seconds = 0.1 if sys.stderr.isatty() else 30.0
    bar = tqdm(items, total=total, desc=what, mininterval=seconds, disable=not ranks.first())
    yield from bar


def leave_with_parent() -> None:
    """End this process when the one that started it is gone, however it was killed.

    Ctrl-C reaches both: it ends this one at once, where Python would take it for a failed item.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def processes(
    count: int, *, initializer: Callable[[], None] = leave_with_parent
) -> Iterator[ProcessPoolExecutor]:
    """A pool of `count` processes, for work that uses no torch.

    Raises:
        UserError: one of them was killed.
    """
    try:
        with ProcessPoolExecutor(count, initializer=initializer) as pool:
            yield pool
    except BrokenProcessPool as e:
        raise UserError(
            "a worker process was killed, perhaps as memory ran out; set GUIDELABEL_WORKERS to "
            f"less than {count} and run again, it goes on"
        ) from e


def forgive_pool(failed: threading.ExceptHookArgs) -> None:
    """A threading.excepthook for programs with pools.

    Ctrl-C ends workers and cancels their items; Python 3.11's pool trips over the latter.
    """
    if not issubclass(failed.exc_type, InvalidStateError):
        threading.__excepthook__(failed)


def pool_map(work: Callable[[T], R], items: list[T], *, what: str) -> Iterator[R]:
    """`map` over a process pool, in order, with progress; for work that uses no torch."""
    count = min(workers(), len(items))
    if count <= 1:
        yield from track(map(work, items), total=len(items), what=what)
        return
    with processes(count) as pool:
        results = pool.map(work, items, chunksize=max(1, min(8, len(items) // (4 * count))))
        yield from track(results, total=len(items), what=what)
