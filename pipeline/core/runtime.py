"""Where and how a run computes: device, precision, random seeds, worker processes, progress.

None of these is a param, because none may change what a result means. People set them by
environment variables:

    GUIDELABEL_DEVICE     auto, cpu, cuda or mps
    GUIDELABEL_PRECISION  auto, float32 or bfloat16
    GUIDELABEL_WORKERS    number of processes that load images, check them, run the CRF and count
"""

import contextlib
import ctypes
import os
import platform
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
from pipeline.core.errors import UserError, printable

if TYPE_CHECKING:
    import torch


T = TypeVar("T")
R = TypeVar("R")

MAX_WORKERS = 1024  # more processes would only fill the memory
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # constants in glibc's malloc.h


def workers() -> int:
    """Number of processes that may work at the same time, at least 1.

    Raises:
        UserError: GUIDELABEL_WORKERS is not a whole number, or above MAX_WORKERS.
    """
    asked = os.environ.get("GUIDELABEL_WORKERS", "")
    if asked and not asked.isdecimal():  # isdigit also takes a superscript
        raise UserError(f"GUIDELABEL_WORKERS={asked}: must be a whole number")
    if asked and int(asked[:9]) > MAX_WORKERS:
        raise UserError(f"GUIDELABEL_WORKERS={asked}: must be at most {MAX_WORKERS}")
    if asked:
        return max(1, int(asked))
    has_affinity = hasattr(os, "sched_getaffinity")  # the cores this process may use
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return max(1, cores // ranks.beside())


def device() -> "torch.device":
    """Choose the device: GUIDELABEL_DEVICE, or else the first of CUDA, MPS and CPU that exists.

    Raises:
        UserError: there is no such device on this machine, or it has fewer GPUs than ranks.
    """
    import torch

    asked = os.environ.get("GUIDELABEL_DEVICE", "auto")
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if asked == "auto":
        asked = next(name for name, ok in available.items() if ok)
    kind, _, index = asked.partition(":")
    count = torch.cuda.device_count() if kind == "cuda" else 1
    known = asked == kind or index in map(str, range(count))
    if not (known and available.get(kind, False)):
        raise UserError(f"GUIDELABEL_DEVICE={asked}: not on this machine; use auto or cpu")
    if asked == "cuda" and ranks.local() >= (gpus := torch.cuda.device_count()):
        raise UserError(
            f"this machine has {gpus} GPUs and more ranks; start {gpus} ranks here, or set "
            "GUIDELABEL_DEVICE=cpu"
        )
    return torch.device(f"cuda:{ranks.local()}" if asked == "cuda" else asked)


def bf16_pays(on: "torch.device") -> bool:
    """Whether bf16 autocast is faster: on GPUs with bf16, and CPUs with AVX-512 BF16 or AMX.

    GUIDELABEL_PRECISION overrides this.

    Raises:
        UserError: GUIDELABEL_PRECISION has another value than auto, float32 or bfloat16.
    """
    import torch

    asked = os.environ.get("GUIDELABEL_PRECISION", "auto")
    if asked not in ("auto", "float32", "bfloat16"):
        raise UserError(f"GUIDELABEL_PRECISION={asked}: must be auto, float32 or bfloat16")
    if asked != "auto":
        return asked == "bfloat16"
    if on.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return on.type == "cpu" and torch.cpu._is_avx512_bf16_supported()


def keep_memory() -> None:
    """Tell glibc to keep the memory that one layer frees, so that the next layer can use it.

    By default, glibc returns large blocks to the system, and the system clears every page before
    it gives it out again. On a CPU this took half the time of a forward pass over large batches.

    The memory that is free at this moment is still returned, once. Loader processes start with
    the pages of this process and with the same setting. A page kept here would be copied as soon
    as one of them writes to it.
    """
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # a C library other than glibc
            libc = ctypes.CDLL(None)
            mallopt = libc.mallopt
            libc.malloc_trim(0)
            mallopt(M_MMAP_MAX, 0)
            mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
            mallopt(M_TOP_PAD, 2**26)


def autocast(on: "torch.device") -> contextlib.AbstractContextManager[Any]:
    """Return bf16 autocast where it is faster, else a context that does nothing."""
    import torch

    if not bf16_pays(on):
        return contextlib.nullcontext()
    return torch.autocast(on.type, torch.bfloat16)


def seed_all(random_seed: int, epoch: int = 0) -> None:
    """Seed torch's generators from (random_seed, epoch), so that a repeated epoch is the same."""
    import torch

    torch.manual_seed((random_seed * 1_000_003 + epoch) % 2**63)


def describe() -> dict[str, str]:
    """Return device, precision and version of torch, to record with a model and its scores."""
    import torch

    on = device()
    name = torch.cuda.get_device_name(on) if on.type == "cuda" else on.type
    return {
        "device": name,
        "precision": "bfloat16" if bf16_pays(on) else "float32",
        "torch": torch.__version__.split("+")[0],
    }


def summary() -> str:
    """Say in one line what a training runs on: device, precision, threads and versions."""
    import torch

    now, threads = describe(), torch.get_num_threads()
    return (
        f"{now['device']}, {now['precision']}, {threads} thread{'' if threads == 1 else 's'}, "
        f"torch {now['torch']}, Python {platform.python_version()}"
    )


def loader_processes() -> int:
    """Number of loader processes: 0 on two cores, where they would slow down the network."""
    import torch

    few_cores = workers() <= 2 and not torch.cuda.is_available()
    return 0 if few_cores else max(1, workers() // 2)


def one_thread(_: int) -> None:
    """Initialise a loader process with one thread, because many of them share the cores."""
    import cv2
    import torch

    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def say(line: str) -> None:
    """Print a line for people to stderr. Of several ranks, only rank 0 prints."""
    if ranks.first():
        tqdm.write(printable(line), file=sys.stderr)


def progress(*, total: int, title: str) -> Any:
    """Return tqdm's display of progress: a bar in a terminal, elsewhere a line every 30 s."""
    seconds = 0.1 if sys.stderr.isatty() else 30.0
    return tqdm(total=total, desc=title, mininterval=seconds, disable=not ranks.first())


def track(items: Iterable[T], *, total: int, title: str) -> Iterator[T]:
    """Yield `items` and show progress.

    Args:
        items: what to yield.
        total: the number of items.
        title: the title of the bar.
    """
    with progress(total=total, title=title) as bar:
        for item in items:
            yield item
            bar.update()


def leave_with_parent(parent: int | None = None) -> None:
    """End this process as soon as the process that started it is gone, even if that was killed.

    `parent` is its number, if the caller read it earlier: by now, the process may be gone.

    Ctrl-C reaches both processes. It ends this one at once. Otherwise Python would treat the
    interrupt as a failure of the item that is being computed.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    watch_parent(parent)


def watch_parent(parent: int | None = None, *, at_end: Callable[[], None] = lambda: None) -> None:
    """End this process within a second after its parent is gone. Call `at_end` before."""
    parent = parent or os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        at_end()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def processes(
    count: int, *, initializer: Callable[[], None] = leave_with_parent
) -> Iterator[ProcessPoolExecutor]:
    """Open a pool of `count` processes, for work that does not use torch.

    Raises:
        UserError: one of the processes was killed.
    """
    try:
        with ProcessPoolExecutor(count, initializer=initializer) as pool:
            yield pool
    except BrokenProcessPool as e:
        raise UserError(
            "a worker process was killed, perhaps because memory ran out; set GUIDELABEL_WORKERS "
            f"to less than {count} and run again: finished files are kept"
        ) from e


def forgive_pool(failed: threading.ExceptHookArgs) -> None:
    """Hide one error in threads; to be set as threading.excepthook by programs with pools.

    Ctrl-C ends the workers and cancels their items. The pool of Python 3.11 then raises
    InvalidStateError in its own thread.
    """
    if not issubclass(failed.exc_type, InvalidStateError):
        threading.__excepthook__(failed)


def pool_map(work: Callable[[T], R], items: list[T], *, title: str) -> Iterator[R]:
    """Map `work` over `items` in several processes, in order and with progress.

    `work` must not use torch.
    """
    from pipeline.core import engine

    return engine.each(work, items, title=title)
