"""Ranks: processes, on one machine or many, that share a stage through one file system.

`torchrun` starts them; without it there is one. A rank takes its share of images or of each
training batch and writes its own files; only gradients, barriers and a few words go over the
network.
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
PATIENCE = timedelta(days=1)  # a rank may be done with its images long before another


def inside() -> bool:
    """Whether torchrun started this process; other launchers set RANK, too."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def rank() -> int:
    """This process among all of them, from 0."""
    return int(os.environ["RANK"]) if inside() else 0


def local() -> int:
    """This process among those of its machine, from 0."""
    return int(os.environ["LOCAL_RANK"]) if inside() else 0


def world() -> int:
    """How many processes share the stage."""
    return int(os.environ["WORLD_SIZE"]) if inside() else 1


def beside() -> int:
    """How many of them run on this machine."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if inside() else 1


def first() -> bool:
    """Whether this is the rank that writes what all have made together."""
    return rank() == 0


def mine(items: Sequence[T]) -> list[T]:
    """This rank's share: every world-th item."""
    return list(items[rank() :: world()])


def launcher() -> list[str]:
    """What starts the ranks: empty for one process, or if this is a rank already.

    GUIDELABEL_LAUNCH is a command before `-m stages NAME`, such as torchrun with its options;
    GUIDELABEL_NPROC=N is short for torchrun with N processes on this machine.

    Raises:
        UserError: N is no whole number.
    """
    if inside():
        return []
    if command := os.environ.get("GUIDELABEL_LAUNCH", ""):
        return os.path.expandvars(command).split()
    count = os.environ.get("GUIDELABEL_NPROC") or "1"
    if not count.isdigit() or count == "0":
        raise UserError(f"GUIDELABEL_NPROC={count}: must be a whole number above 0")
    if count == "1":
        return []
    torchrun = [sys.executable, "-m", "stages._ranks", "--standalone"]
    return [*torchrun, f"--nproc-per-node={count}"]


@contextlib.contextmanager
def group(device: Callable[[], "torch.device"]) -> Iterator[None]:
    """The process group of all ranks on their devices; nothing for one.

    It is taken down only if all went well: a rank that fails must not wait for the others.
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


def lost(error: RuntimeError) -> bool:
    """Whether the error is another rank's end, which that rank or the launcher explains."""
    return "gloo/transport" in str(error) or type(error).__name__ == "DistBackendError"


def barrier() -> None:
    """Wait for every rank."""
    if world() > 1:
        import torch.distributed as dist

        dist.barrier()


def agreed(make: Callable[[], T]) -> T:
    """What the first rank makes, in every rank; the others make nothing."""
    if world() == 1:
        return make()
    import torch.distributed as dist

    said: list[T | None] = [make() if first() else None]
    dist.broadcast_object_list(said, src=0)
    return said[0]  # type: ignore[return-value]


def mean(value: "torch.Tensor") -> "torch.Tensor":
    """Mean of a tensor over ranks, without gradient."""
    if world() == 1:
        return value
    import torch.distributed as dist

    total = value.detach().clone()
    dist.all_reduce(total)
    return total / world()


def take_first(tensors: Iterator["torch.Tensor"]) -> None:
    """Make tensors equal the first rank's."""
    if world() > 1:
        import torch.distributed as dist

        for tensor in tensors:
            dist.broadcast(tensor, src=0)
