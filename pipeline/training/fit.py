"""The training loop of the classifier, the saliency network and the segmenter.

Each epoch seeds torch from (seed, epoch), and the state after it is saved. So a killed run resumes
after its last finished epoch, and ends with the same bytes as an uninterrupted run.

Shapes: N batch, S side of a view in px.
"""

import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pipeline.core import ranks, runtime
from pipeline.core.config import Train
from pipeline.core.errors import UserError
from pipeline.training.optim import optimizer_for, set_lr
from pipeline.training.views import Target, Views, batches_of, epoch_keys, fixed, fixed_keys

SYNC_STEPS = 20  # steps between two reads of the losses; each read waits for a GPU
LossOf = Callable[[nn.Module, Tensor, Any], Tensor]
Batches = Iterator[tuple[Tensor, Target]]


class Epoch(NamedTuple):
    """The mean loss of one epoch, and the validation loss after it, if there is one."""

    loss: float
    val_loss: float | None


@dataclass
class Run:
    """The state of a training: `done` of its `steps` are done."""

    net: nn.Module
    optimizer: torch.optim.Optimizer
    steps: int
    done: int = 0
    epochs: list[Epoch] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write all that a resumed run needs. A killed run leaves no incomplete file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "done": self.done,
            "epochs": [tuple(epoch) for epoch in self.epochs],
        }
        with (part := path.with_suffix(".part")).open("wb") as f:
            torch.save(state, f)
        os.replace(part, path)

    def restore(self, path: Path) -> None:
        """Return to the state that `save` wrote."""
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.done, self.epochs = state["done"], [Epoch(*epoch) for epoch in state["epochs"]]


def fit(
    net: nn.Module,
    views: Views,
    loss_of: LossOf,
    *,
    resume: Path,
    title: str,
    val: Views | None = None,
) -> list[Epoch]:
    """Train `net` in place.

    Args:
        net: a module with a `trunk`, whose first stages may be frozen.
        views: the training set.
        loss_of: computes the loss, a scalar, from net, images (N, 3, S, S) and target. The target
            is what `views` return.
        resume: folder for the state after each epoch. The state is kept after the last epoch, too.
            So a stage that is killed between its training and its end does not train again.
            `stages/_run.py` removes the folder.
        title: the title of progress bars and messages.
        val: images for a validation loss after each epoch. The loss is for people: nothing learns
            from it, and nothing is chosen by it.

    Returns:
        The losses of each epoch.

    Raises:
        UserError: there are too few images, the ranks cannot share a batch, or a loss is not
            finite. Such a loss never changes the weights.
    """
    train = views.train
    batch = _batch_size(len(views), train, title=title)
    epoch_steps = len(views) // batch
    run = _start(net, train, epoch_steps=epoch_steps, state=resume / "state.pt", title=title)
    compute_loss = _with_loss(net, loss_of)
    epochs = range(math.ceil(run.done / epoch_steps), math.ceil(run.steps / epoch_steps))
    keys = [key for e in epochs for key in epoch_keys(views, batch=batch, epoch=e)]
    batches = batches_of(views, keys[: run.steps - run.done])
    for epoch in epochs:
        runtime.seed_all(views.seed, epoch + 1_000 * ranks.rank())
        steps, name = min(epoch_steps, run.steps - run.done), f"{title}, epoch {epoch + 1}"
        start = time.monotonic()
        loss = _train_epoch(run, compute_loss, islice(batches, steps), train, steps, title=name)
        rate = steps * batch / (time.monotonic() - start)
        val_loss = _validate(net, compute_loss, val, batch=batch) if val else None
        run.epochs.append(Epoch(loss, val_loss))
        val_text = "" if val_loss is None else f", on val {val_loss:.4f}"
        runtime.say(f"{name}: loss {loss:.4f}{val_text}, {rate:.1f} images/s")
        if ranks.first():
            run.save(resume / "state.pt")
        ranks.barrier()
    ranks.take_first(net.buffers())  # each rank has batch statistics of its own
    net.eval()
    return run.epochs


def _train_epoch(
    run: Run, compute_loss: nn.Module, batches: Batches, train: Train, steps: int, *, title: str
) -> float:
    """Train on `steps` batches, and return their mean loss."""
    run.net.train()
    device, total, pending = runtime.device(), 0.0, list[Tensor]()
    for image, target in runtime.track(batches, total=steps, title=title):
        set_lr(run.optimizer, train, progress=run.done / run.steps)
        loss = _batch_loss(compute_loss, image, target, device)
        _require_finite(loss, title=title)
        run.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        run.optimizer.step()
        run.done += 1
        pending.append(loss.detach())
        if len(pending) == SYNC_STEPS:
            total, pending = _add(total, pending, title=title), []
    total = _add(total, pending, title=title)
    return float(ranks.mean(torch.tensor(total / steps, device=device)))


@torch.no_grad()
def _validate(net: nn.Module, compute_loss: nn.Module, val: Views, *, batch: int) -> float | None:
    """Return the mean loss over the validation images. Their views are the same in each epoch."""
    keys = fixed_keys(val, batch=batch)
    net.eval()
    device, total, count = runtime.device(), 0.0, 0
    for image, target in batches_of(fixed(val), keys):
        loss = _batch_loss(compute_loss, image, target, device)
        total, count = total + float(loss) * len(image), count + len(image)
    return float(ranks.mean(torch.tensor(total / count, device=device))) if count else None


def _start(net: nn.Module, train: Train, *, epoch_steps: int, state: Path, title: str) -> Run:
    """Freeze stages, move the network to the device, and restore `state` if it exists."""
    net.trunk.freeze(train.frozen_stages)  # type: ignore[operator,union-attr]
    runtime.keep_memory()
    net.to(runtime.device()).to(memory_format=torch.channels_last)
    run = Run(net, optimizer_for(net, train), steps=max(1, round(train.epochs * epoch_steps)))
    if state.exists():
        run.restore(state)
        runtime.say(f"{title}: resumes after {run.done}/{run.steps} steps")
    return run


def _batch_size(images: int, train: Train, *, title: str) -> int:
    """Return the batch size of the params, or the number of images if that is smaller."""
    batch, world = min(train.batch, images), ranks.world()
    if batch < 2:
        raise UserError(f"{title}: training needs at least 2 images, not {images}; add images")
    if batch % world or batch < 2 * world:
        raise UserError(
            f"{title}: {world} ranks cannot share batches of {batch}; set train.batch to a "
            f"multiple of {world}, at least {2 * world}"
        )
    return batch


def _batch_loss(
    compute_loss: nn.Module, image: Tensor, target: Target, device: torch.device
) -> Tensor:
    image = image.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)
    with runtime.autocast(device):
        return compute_loss(image, _to(target, device))


def _to(target: Target, device: torch.device) -> Target:
    if isinstance(target, Tensor):
        return target.to(device, non_blocking=True)
    return [t.to(device, non_blocking=True) for t in target]


def _require_finite(loss: Tensor, *, title: str) -> None:
    """Stop a training before a loss that is not finite changes its weights.

    A GPU checks the loss itself, so that nothing waits for it. `_add` then reports the failure.
    """
    if loss.device.type == "cuda":
        torch._assert_async(torch.isfinite(loss).all())
    elif not math.isfinite(float(loss.detach())):
        raise UserError(f"{title}: the loss is not finite; lower train.lr")


def _add(total: float, pending: list[Tensor], *, title: str) -> float:
    """Add losses that are still on the device to `total`, in their order."""
    try:
        for loss in torch.stack(pending).tolist() if pending else ():
            total += loss
    except RuntimeError as e:  # the check of _require_finite failed on a GPU
        if "device-side assert" not in str(e):
            raise
        raise UserError(f"{title}: the loss is not finite; lower train.lr") from e
    return total


class _NetWithLoss(nn.Module):
    """A network and its loss in one module, as DistributedDataParallel needs it."""

    def __init__(self, net: nn.Module, loss_of: LossOf) -> None:
        super().__init__()
        self.net, self.loss_of = net, loss_of

    def forward(self, image_N3SS: Tensor, target: Target) -> Tensor:
        return self.loss_of(self.net, image_N3SS, target)


def _with_loss(net: nn.Module, loss_of: LossOf) -> nn.Module:
    """Make the module that computes the loss of a batch. Gradients are means over all ranks."""
    compute_loss = _NetWithLoss(net, loss_of)
    if ranks.world() == 1:
        return compute_loss
    return nn.parallel.DistributedDataParallel(compute_loss)
