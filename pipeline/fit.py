"""The one training loop: classifier, saliency network and segmenter.

Every epoch reseeds from (seed, epoch) and is saved under `resume`, so that a killed run goes on
from its last finished epoch and ends with the same bytes as an uninterrupted one.
"""

import itertools
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline import loader, ranks, runtime
from pipeline.blocks import Train
from pipeline.errors import UserError

WARM_UP = 0.1  # share of one_cycle spent rising


def one_cycle(progress: float) -> float:
    """Linear rise, then a cosine to zero. Source: Smith 2018, with a cosine fall."""
    if progress < WARM_UP:
        return (progress + 0.01) / (WARM_UP + 0.01)
    return 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))


def step(progress: float) -> float:
    """A tenth after each quarter: the released solver's step 2000 of 8000, gamma 0.1."""
    return 0.1 ** min(3, int(progress * 4))


def poly(progress: float) -> float:
    """(1 - progress) ** 0.9. Source: DeepLab v2."""
    return (1 - progress) ** 0.9


SCHEDULES: dict[str, Callable[[float], float]] = {
    "one_cycle": one_cycle,
    "step": step,
    "poly": poly,
}


def param_groups(net: nn.Module, train: Train) -> list[dict[str, Any]]:
    """Weights and biases of trunk and head: no decay on biases and norms; under SGD biases lr x2.

    fc6 and fc7 (`hidden`) learn at the trunk's rate, as in the release: only what comes after
    them is multiplied by head_lr_factor.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, p in net.named_parameters():
        if p.requires_grad:
            head = not (name.startswith("trunk.") or "hidden" in name.split("."))
            groups.setdefault((head, p.ndim > 1), []).append(p)
    out = []
    for (head, weight), params in groups.items():
        lr = train.lr * (train.head_lr_factor if head else 1)
        if not weight and train.optimizer == "sgd":
            lr *= 2
        decay = train.weight_decay if weight else 0.0
        out.append({"params": params, "lr": lr, "weight_decay": decay})
    return out


def optimizer_for(net: nn.Module, train: Train) -> torch.optim.Optimizer:
    """AdamW, or SGD with momentum 0.9."""
    groups = param_groups(net, train)
    if train.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=train.lr)
    return torch.optim.SGD(groups, lr=train.lr, momentum=0.9)


@dataclass
class Run:
    """A training under way."""

    net: nn.Module
    optimizer: torch.optim.Optimizer
    train: Train
    steps: int
    done: int = 0
    losses: tuple[float, ...] = ()

    def save(self, path: Path) -> None:
        """Write everything a resumed run needs, under a temporary name first."""
        path.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "done": self.done,
            "losses": list(self.losses),
        }
        with (part := path.with_suffix(".part")).open("wb") as f:
            torch.save(state, f)
        os.replace(part, path)

    def restore(self, path: Path) -> None:
        """Go on from what `save` wrote."""
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.done, self.losses = state["done"], tuple(state["losses"])

    def set_lr(self) -> None:
        """The schedule's factor on each group's own rate."""
        factor = SCHEDULES[self.train.schedule](self.done / self.steps)
        for group in self.optimizer.param_groups:
            group.setdefault("peak", group["lr"])
            group["lr"] = group["peak"] * factor


LossOf = Callable[[nn.Module, Tensor, Any], Tensor]


def fit(
    net: nn.Module, views: loader.Views, loss_of: LossOf, *, resume: Path, what: str
) -> list[float]:
    """Train `net` in place.

    Args:
        net: a module with a `trunk`, whose first stages may be frozen.
        views: the training set.
        loss_of: (net, image_N3SS, target) -> scalar loss; the target is as `views` give it.
        resume: folder for the state after each epoch. It stays, so that a stage killed after its
            training need not train again; the stage's runner removes it.
        what: the name that progress lines carry.

    Returns:
        The mean loss of each epoch.

    Raises:
        UserError: fewer than two images, or the loss is no longer a number.
    """
    train, on = views.train, runtime.device()
    batch = min(train.batch, len(views))
    if batch < 2:
        raise UserError(f"{what}: {len(views)} image to learn from; needs at least 2")
    if batch % ranks.world() or batch < 2 * ranks.world():
        raise UserError(
            f"{what}: {ranks.world()} ranks cannot share batches of {batch}; set train.batch to a "
            "multiple, two images or more a rank"
        )
    per_epoch = len(views) // batch
    net.trunk.freeze(train.frozen_stages)  # type: ignore[operator,union-attr]
    runtime.keep_memory()
    net.to(on).to(memory_format=torch.channels_last)
    run = Run(net, optimizer_for(net, train), train, max(1, round(train.epochs * per_epoch)))
    saved = resume / "state.pt"
    if saved.exists():
        run.restore(saved)
        runtime.say(f"{what}: going on after {run.done}/{run.steps} steps")
    step = _step(net, loss_of)
    epochs = range(-(-run.done // per_epoch), -(-run.steps // per_epoch))
    keys = [loader.epoch_batches(views, batch=batch, epoch=e) for e in epochs]
    batches = loader.train_batches(views, [k for ks in keys for k in ks][: run.steps - run.done])
    for epoch in epochs:
        runtime.seed_all(views.seed, epoch + 1_000 * ranks.rank())
        steps = min(per_epoch, run.steps - run.done)
        _epoch(
            run, step, itertools.islice(batches, steps), steps, what=f"{what}, epoch {epoch + 1}"
        )
        if ranks.first():
            run.save(saved)
        ranks.barrier()
    ranks.take_first(net.buffers())  # batch statistics, of which each rank has its own
    net.eval()
    return list(run.losses)


def _to(target: loader.Target, on: torch.device) -> loader.Target:
    if isinstance(target, Tensor):
        return target.to(on, non_blocking=True)
    return [t.to(on, non_blocking=True) for t in target]


class _Loss(nn.Module):
    """A net and its loss as one module, whose gradients the ranks can share."""

    def __init__(self, net: nn.Module, loss_of: LossOf) -> None:
        super().__init__()
        self.net, self.loss_of = net, loss_of

    def forward(self, image_N3SS: Tensor, target: loader.Target) -> Tensor:
        return self.loss_of(self.net, image_N3SS, target)


def _step(net: nn.Module, loss_of: LossOf) -> nn.Module:
    """From a batch to its loss; with ranks, gradients are means over them."""
    step = _Loss(net, loss_of)
    if ranks.world() == 1:
        return step
    return nn.parallel.DistributedDataParallel(step)


def _epoch(
    run: Run,
    step: nn.Module,
    batches: Iterator[tuple[Tensor, loader.Target]],
    steps: int,
    *,
    what: str,
) -> None:
    """One pass; a line with the mean loss and images a second at its end."""
    run.net.train()
    on, total, images, start = runtime.device(), 0.0, 0, time.monotonic()
    for view, target in runtime.track(batches, total=steps, what=what):
        run.set_lr()
        image = view.to(on, non_blocking=True).contiguous(memory_format=torch.channels_last)
        with runtime.autocast(on):
            loss = step(image, _to(target, on))
        run.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        run.optimizer.step()
        run.done += 1
        images += len(view)
        total += loss.item()
        if not math.isfinite(total):
            raise UserError(f"{what}: the loss is not a number any more; lower train.lr")
    loss = ranks.mean(torch.tensor(total / steps, device=on))
    run.losses = (*run.losses, float(loss))
    rate = images * ranks.world() / (time.monotonic() - start)
    runtime.say(f"{what}: loss {run.losses[-1]:.4f}, {rate:.1f} images/s")
