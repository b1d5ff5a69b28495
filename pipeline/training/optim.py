"""Optimisers, their parameter groups, and learning-rate schedules."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from pipeline.core.config import Train

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


def set_lr(optimizer: torch.optim.Optimizer, train: Train, *, progress: float) -> None:
    """Set each group's rate to its own peak times the schedule's factor.

    Args:
        optimizer: from `optimizer_for`; its groups remember their peak.
        train: names the schedule.
        progress: share of the steps done, in [0, 1).
    """
    factor = SCHEDULES[train.schedule](progress)
    for group in optimizer.param_groups:
        group.setdefault("peak", group["lr"])
        group["lr"] = group["peak"] * factor
