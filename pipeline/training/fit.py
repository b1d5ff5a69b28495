"""The training loop of the classifier, the saliency network and the segmenter.

Every epoch reseeds from (seed, epoch) and is saved under `resume`. A killed run goes on after its
last finished epoch and ends with the same bytes as an uninterrupted one.
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

SYNC_STEPS = 20  # between two looks at the losses, for which a GPU must be waited for
LossOf = Callable[[nn.Module, Tensor, Any], Tensor]
Batches = Iterator[tuple[Tensor, Target]]


class Epoch(NamedTuple):
    """Mean loss of one epoch; after it, the loss on validation views where there are any."""

    loss: float
    val_loss: float | None


@dataclass
class Run:
    """A training under way."""

    net: nn.Module
    optimizer: torch.optim.Optimizer
    steps: int
    done: int = 0
    epochs: list[Epoch] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write everything a resumed run needs, under a temporary name first."""
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
        """Go on from what `save` wrote."""
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
    what: str,
    val: Views | None = None,
) -> list[Epoch]:
    """Train `net` in place.

    Args:
        net: a module with a `trunk`, whose first stages may be frozen.
        views: the training set.
        loss_of: (net, image_N3SS, target) -> scalar loss; the target is as `views` give it.
        resume: folder for the state after each epoch. It stays, so that a stage killed after its
            training need not train again; the stage's runner removes it.
        what: the name that progress lines carry.
        val: images to compute a loss on after each epoch, for people. Nothing learns from it and
            nothing is chosen by it.

    Raises:
        UserError: too few images, batches that the ranks cannot share, or a loss that is not
            finite, which is found before it changes the weights.
    """
    train, device = views.train, runtime.device()
    batch = _batch_size(len(views), train, what=what)
    per_epoch = len(views) // batch
    net.trunk.freeze(train.frozen_stages)  # type: ignore[operator,union-attr]
    runtime.keep_memory()
    net.to(device).to(memory_format=torch.channels_last)
    run = Run(net, optimizer_for(net, train), steps=max(1, round(train.epochs * per_epoch)))
    saved = resume / "state.pt"
    if saved.exists():
        run.restore(saved)
        runtime.say(f"{what}: going on after {run.done}/{run.steps} steps")
    compute_loss = _shared(net, loss_of)
    epochs = range(-(-run.done // per_epoch), -(-run.steps // per_epoch))
    keys = [key for e in epochs for key in epoch_keys(views, batch=batch, epoch=e)]
    batches = batches_of(views, keys[: run.steps - run.done])
    for epoch in epochs:
        runtime.seed_all(views.seed, epoch + 1_000 * ranks.rank())
        steps, label = min(per_epoch, run.steps - run.done), f"{what}, epoch {epoch + 1}"
        start = time.monotonic()
        loss = _epoch(run, compute_loss, islice(batches, steps), train, steps=steps, what=label)
        rate = steps * batch / (time.monotonic() - start)
        val_loss = _validate(net, compute_loss, val, batch=batch) if val else None
        run.epochs.append(Epoch(loss, val_loss))
        and_val = "" if val_loss is None else f", on val {val_loss:.4f}"
        runtime.say(f"{label}: loss {loss:.4f}{and_val}, {rate:.1f} images/s")
        if ranks.first():
            run.save(saved)
        ranks.barrier()
    ranks.take_first(net.buffers())  # batch statistics, of which each rank has its own
    net.eval()
    return run.epochs


def _epoch(
    run: Run, compute_loss: nn.Module, batches: Batches, train: Train, *, steps: int, what: str
) -> float:
    """One pass over the training set; its mean loss."""
    run.net.train()
    device, total, pending = runtime.device(), 0.0, list[Tensor]()
    for image, target in runtime.track(batches, total=steps, what=what):
        set_lr(run.optimizer, train, progress=run.done / run.steps)
        loss = _loss(compute_loss, image, target, device)
        _require_finite(loss, what=what)
        run.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        run.optimizer.step()
        run.done += 1
        pending.append(loss.detach())
        if len(pending) == SYNC_STEPS:
            total, pending = _drain(total, pending, what=what), []
    total = _drain(total, pending, what=what)
    return float(ranks.mean(torch.tensor(total / steps, device=device)))


@torch.no_grad()
def _validate(net: nn.Module, compute_loss: nn.Module, val: Views, *, batch: int) -> float | None:
    """Mean loss on the same views of the validation images after every epoch."""
    keys = fixed_keys(val, batch=batch)
    net.eval()
    device, total, count = runtime.device(), 0.0, 0
    for image, target in batches_of(fixed(val), keys):
        loss = _loss(compute_loss, image, target, device)
        total, count = total + float(loss) * len(image), count + len(image)
    return float(ranks.mean(torch.tensor(total / count, device=device))) if count else None


def _loss(compute_loss: nn.Module, image: Tensor, target: Target, device: torch.device) -> Tensor:
    image = image.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)
    with runtime.autocast(device):
        return compute_loss(image, _to(target, device))


def _require_finite(loss: Tensor, *, what: str) -> None:
    """Stop before the update; a GPU stops by itself, without being waited for."""
    if loss.device.type == "cuda":
        torch._assert_async(torch.isfinite(loss).all())
    elif not math.isfinite(float(loss.detach())):
        raise UserError(f"{what}: the loss is not finite; lower train.lr")


def _drain(total: float, pending: list[Tensor], *, what: str) -> float:
    """Add the losses that are still on the device to `total`, in their order."""
    try:
        for loss in torch.stack(pending).tolist() if pending else ():
            total += loss
    except RuntimeError as e:  # of _require_finite on a GPU
        if "device-side assert" not in str(e):
            raise
        raise UserError(f"{what}: the loss is not finite; lower train.lr") from e
    return total


def _batch_size(images: int, train: Train, *, what: str) -> int:
    batch = min(train.batch, images)
    if batch < 2:
        raise UserError(f"{what}: {images} image to learn from; it needs at least 2")
    if batch % ranks.world() or batch < 2 * ranks.world():
        raise UserError(
            f"{what}: {ranks.world()} ranks cannot share batches of {batch}; set train.batch to a "
            "multiple, with at least two images a rank"
        )
    return batch


def _to(target: Target, device: torch.device) -> Target:
    if isinstance(target, Tensor):
        return target.to(device, non_blocking=True)
    return [t.to(device, non_blocking=True) for t in target]


class _Loss(nn.Module):
    """A net and its loss as one module, whose gradients the ranks can share."""

    def __init__(self, net: nn.Module, loss_of: LossOf) -> None:
        super().__init__()
        self.net, self.loss_of = net, loss_of

    def forward(self, image_N3SS: Tensor, target: Target) -> Tensor:
        return self.loss_of(self.net, image_N3SS, target)


def _shared(net: nn.Module, loss_of: LossOf) -> nn.Module:
    """From a batch to its loss; with ranks, gradients are means over them."""
    compute_loss = _Loss(net, loss_of)
    if ranks.world() == 1:
        return compute_loss
    return nn.parallel.DistributedDataParallel(compute_loss)
