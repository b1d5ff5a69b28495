"""Optimisers, their parameter groups, and schedules of the learning rate.

A schedule turns progress, the share of steps done in [0, 1), into a factor of the learning rate.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from pipeline.core.config import Train

WARM_UP = 0.1  # share of steps in which one_cycle rises


def one_cycle(progress: float) -> float:
    """Rise linearly, then fall to 0 along a cosine. Source: Smith 2018, but with a cosine."""
    if progress < WARM_UP:
        return (progress + 0.01) / (WARM_UP + 0.01)
    return 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))


def step(progress: float) -> float:
    """Divide the rate by 10 after each quarter.

    Source: the released solver of Oh et al., CVPR 2017: step 2000 of 8000 iterations, gamma 0.1.
    """
    return 0.1 ** min(3, int(progress * 4))


def poly(progress: float) -> float:
    """Fall as (1 - progress) ** 0.9. Source: DeepLab v2."""
    return (1 - progress) ** 0.9


SCHEDULES: dict[str, Callable[[float], float]] = {
    "one_cycle": one_cycle,
    "step": step,
    "poly": poly,
}


def param_groups(net: nn.Module, train: Train) -> list[dict[str, Any]]:
    """Group the parameters that learn by their learning rate and weight decay.

    Biases and batch normalisation have no decay, and under SGD twice the rate. The head learns
    `head_lr_factor` times as fast as the trunk. Its layers fc6 and fc7 (`hidden`) do not: they
    learn at the rate of the trunk.

    Source: the released solver of Oh et al., CVPR 2017.
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
    """Make the optimiser that `train` names: AdamW, or SGD with momentum 0.9."""
    groups = param_groups(net, train)
    if train.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=train.lr)
    return torch.optim.SGD(groups, lr=train.lr, momentum=0.9)


def set_lr(optimizer: torch.optim.Optimizer, train: Train, *, progress: float) -> None:
    """Set the rate of each group to its highest rate times the factor of the schedule.

    Args:
        optimizer: made by `optimizer_for`. Each group keeps its highest rate as `peak`.
        train: names the schedule.
        progress: share of steps done, in [0, 1).
    """
    factor = SCHEDULES[train.schedule](progress)
    for group in optimizer.param_groups:
        group.setdefault("peak", group["lr"])
        group["lr"] = group["peak"] * factor
