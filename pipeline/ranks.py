"""Ranks: processes, on one machine or many, that share a stage through one file system.

`torchrun` starts them; without it there is one. A rank takes its share of images or of each
training batch and writes its own files; only gradients and barriers go over the network.
"""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TypeVar

from pipeline.errors import UserError

T = TypeVar("T")


def rank() -> int:
    """This process among all of them, from 0."""
    return int(os.environ.get("RANK", "0"))


def world() -> int:
    """How many processes share the stage."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def first() -> bool:
    """Whether this is the rank that writes what all have made together."""
    return rank() == 0


def mine(items: Sequence[T]) -> list[T]:
    """This rank's share: every world-th item."""
    return list(items[rank() :: world()])


def launcher() -> list[str]:
    """What starts the ranks: empty for one process, or if this is a rank already.

    GUIDELABEL_LAUNCH is a command before `-m stages.NAME`, such as torchrun with its options;
    GUIDELABEL_NPROC=N is short for torchrun with N processes on this machine.

    Raises:
        UserError: N is no whole number.
    """
    if "RANK" in os.environ:
        return []
    if command := os.environ.get("GUIDELABEL_LAUNCH", ""):
        return os.path.expandvars(command).split()
    count = os.environ.get("GUIDELABEL_NPROC") or "1"
    if not count.isdigit() or count == "0":
        raise UserError(f"GUIDELABEL_NPROC={count}: must be a whole number above 0")
    if count == "1":
        return []
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return [*torchrun, f"--nproc-per-node={count}"]


@contextlib.contextmanager
def group() -> Iterator[None]:
    """The process group of all ranks; nothing for one."""
    if world() == 1:
        yield
        return
    import torch
    import torch.distributed as dist

    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def barrier() -> None:
    """Wait for every rank."""
    if world() > 1:
        import torch.distributed as dist

        dist.barrier()


def mean(value: float) -> float:
    """Mean of a number over ranks."""
    if world() == 1:
        return value
    import torch
    import torch.distributed as dist

    from pipeline import runtime

    total = torch.tensor(value, dtype=torch.float64).to(runtime.device())
    dist.all_reduce(total)
    return float(total) / world()
