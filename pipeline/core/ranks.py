"""Ranks: processes, on one machine or several, that share a training.

`torchrun` starts the ranks. Without it, one process trains. Each rank takes its share of each
batch. All ranks see the same file system. Only gradients, barriers and a few short values go over
the network. Stages that work image by image have no ranks: `engine` runs them.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from pipeline.core.errors import UserError

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
MAX_RANKS = 1024  # on one machine; more would only fill its memory
PATIENCE = timedelta(days=1)  # one rank may finish its images long before another


def inside() -> bool:
    """Whether torchrun started this process. RANK does not tell, as other launchers set it too."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def rank() -> int:
    """Number of this process among all ranks, from 0."""
    return int(os.environ["RANK"]) if inside() else 0


def local() -> int:
    """Number of this process among the ranks on this machine, from 0."""
    return int(os.environ["LOCAL_RANK"]) if inside() else 0


def world() -> int:
    """Number of all ranks."""
    return int(os.environ["WORLD_SIZE"]) if inside() else 1


def beside() -> int:
    """Number of ranks on this machine."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if inside() else 1


def first() -> bool:
    """Whether this is rank 0, which writes everything that exists only once."""
    return rank() == 0


def mine(items: Sequence[T]) -> list[T]:
    """Return this rank's share: every n-th item, where n is the number of ranks."""
    return list(items[rank() :: world()])


def launcher() -> list[str]:
    """Return the command that starts the ranks.

    It is empty if one process is enough, or if this process is a rank already.
    GUIDELABEL_LAUNCH is a command to put before `-m stages NAME`, such as torchrun with its
    options. GUIDELABEL_NPROC=N is short for torchrun with N processes on this machine.

    Raises:
        UserError: N is not a whole number from 1 to MAX_RANKS.
    """
    if inside():
        return []
    if command := os.environ.get("GUIDELABEL_LAUNCH", ""):
        return os.path.expandvars(command).split()
    count = os.environ.get("GUIDELABEL_NPROC") or "1"
    if not count.isdecimal() or not 0 < int(count[:9]) <= MAX_RANKS:
        raise UserError(
            f"GUIDELABEL_NPROC={count}: must be a whole number above 0, at most {MAX_RANKS}"
        )
    if count == "1":
        return []
    torchrun = [sys.executable, "-m", "stages._ranks", "--standalone"]
    return [*torchrun, f"--nproc-per-node={count}"]


@contextlib.contextmanager
def group(device: Callable[[], "torch.device"]) -> Iterator[None]:
    """Open the process group of all ranks on their devices. With one rank, do nothing.

    The group is closed only if there was no error, because a failed rank must not wait for the
    others.
    """
    if world() == 1:
        yield
        return
    import torch
    import torch.distributed as dist

    if (on := device()).type == "cuda":
        torch.cuda.set_device(on)
        dist.init_process_group("nccl", timeout=PATIENCE, device_id=on)
    else:
        dist.init_process_group("gloo", timeout=PATIENCE)
    yield
    dist.destroy_process_group()


def lost(error: Exception) -> bool:
    """Whether the error only says that another rank ended. That rank or torchrun tells why."""
    return "gloo/transport" in str(error) or type(error).__name__ == "DistBackendError"


def barrier() -> None:
    """Wait until every rank is here."""
    if world() > 1:
        import torch.distributed as dist

        dist.barrier()


def agreed(make: Callable[[], T]) -> T:
    """Call `make` in rank 0 only, and return its result in every rank."""
    if world() == 1:
        return make()
    import torch.distributed as dist

    shared: list[T | None] = [make() if first() else None]
    dist.broadcast_object_list(shared, src=0)
    return shared[0]  # type: ignore[return-value]


def gathered(value: T) -> list[T]:
    """Return the values of all ranks, in their order."""
    if world() == 1:
        return [value]
    import torch.distributed as dist

    values: list[T | None] = [None] * world()
    dist.all_gather_object(values, value)
    return values  # type: ignore[return-value]


def mean(value: "torch.Tensor") -> "torch.Tensor":
    """Return the mean of a tensor over all ranks, without gradient."""
    if world() == 1:
        return value
    import torch.distributed as dist

    total = value.detach().clone()
    dist.all_reduce(total)
    return total / world()


def take_first(tensors: Iterator["torch.Tensor"]) -> None:
    """Copy the tensors of rank 0 to all ranks, in place."""
    if world() > 1:
        import torch.distributed as dist

        for tensor in tensors:
            dist.broadcast(tensor, src=0)
