"""The state of a training: what a resumed run needs to end with the same bytes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

import torch
from torch import Tensor, nn

from pipeline.core import formats, ranks, runtime

SAVE_SECONDS = 600  # between two saves within an epoch
AGREE_STEPS = 20  # steps between two agreements of several ranks to save; each waits for all ranks


class Epoch(NamedTuple):
    """The mean loss of one epoch, and the validation loss after it, if there is one."""

    loss: float
    val_loss: float | None


class Progress(NamedTuple):
    """How far one rank is within an epoch: the sum of its losses, and torch's generators."""

    total: float
    generators: list[Tensor]


@dataclass
class Run:
    """A training: `done` of its `steps` are done. `epochs` are those that are finished."""

    net: nn.Module
    optimizer: torch.optim.Optimizer
    steps: int
    done: int = 0
    epochs: list[Epoch] = field(default_factory=list)
    total: float = 0.0  # sum of this rank's losses in the present epoch
    saved: float = field(default_factory=time.monotonic)  # when
    generators: Sequence[Tensor] = ()  # of a restored state, until `start_epoch` sets them

    def save(self, path: Path) -> None:
        """Write all that a resumed run needs. All ranks call this, and rank 0 writes.

        A killed run leaves no incomplete file.

        Raises:
            UserError: the file cannot be written, such as on a full disk. The old one is unchanged.
        """
        progress = ranks.gathered((self.total, _generators()))
        if ranks.first():
            state = {
                "net": self.net.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "done": self.done,
                "epochs": [tuple(epoch) for epoch in self.epochs],
                "progress": progress,
            }
            formats.replace_file(path, lambda f: _write(state, f))
        ranks.barrier()
        self.saved = time.monotonic()

    def restore(self, state: dict[str, Any]) -> None:
        """Return to a state that `read` returned."""
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.done, self.epochs = state["done"], [Epoch(*epoch) for epoch in state["epochs"]]
        progress = [Progress(*p) for p in state["progress"]]
        mine = progress[ranks.rank() % len(progress)]  # the number of ranks may have changed
        self.total, self.generators = mine

    def start_epoch(self, random_seed: int, *, first_step: int) -> None:
        """Seed torch for the present epoch, or continue it where the restored state was saved."""
        runtime.seed_all(random_seed, len(self.epochs) + 1_000 * ranks.rank())
        if self.done > first_step:
            _set_generators(self.generators)
        else:
            self.total = 0.0
        self.generators = ()

    def is_due(self) -> bool:
        """Whether it is time to save within an epoch. All ranks get the same answer."""
        if ranks.world() > 1 and self.done % AGREE_STEPS:
            return False
        return ranks.agreed(lambda: time.monotonic() - self.saved >= SAVE_SECONDS)


def _write(state: dict[str, Any], file: IO[bytes]) -> None:
    """Write a state. After a failed write, torch raises an error of its own: raise the first."""
    try:
        torch.save(state, file)
    except RuntimeError as e:
        raise (e.__context__ if isinstance(e.__context__, OSError) else e) from e


def read(path: Path) -> dict[str, Any] | None:
    """Read a saved state. Return None if there is none, or if the file is damaged."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError):
        return None
    except RuntimeError as e:  # memory that runs out is a RuntimeError, too
        if "PytorchStreamReader" not in str(e):
            raise
        return None


def _device_module() -> Any:
    """Torch's module of the device, such as torch.cuda. On a CPU: None."""
    kind = runtime.device().type
    return None if kind == "cpu" else getattr(torch, kind)


def _generators() -> list[Tensor]:
    """The states of torch's generators: the CPU's, and that of another device."""
    module = _device_module()
    return [torch.get_rng_state(), *([module.get_rng_state()] if module else [])]


def _set_generators(states: Sequence[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if (module := _device_module()) and len(states) > 1:
        module.set_rng_state(states[1])
