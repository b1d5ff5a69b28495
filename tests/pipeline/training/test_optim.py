"""Schedules and parameter groups of the training, by hand."""

import pytest
import torch
from torch import nn

from pipeline.core.config import Train
from pipeline.training import optim

TRAIN = {
    "epochs": 3, "batch": 4, "size_px": 32, "optimizer": "adamw", "lr": 0.001,
    "weight_decay": 0.01, "schedule": "one_cycle", "head_lr_factor": 5, "scale": [0.8, 1.2],
    "jitter": 0.1, "frozen_stages": 1,
}  # fmt: skip


@pytest.mark.parametrize("name, factors", [
    ("one_cycle", {0: 1 / 11, 0.045: 0.5, 0.1: 1, 0.325: (1 + 0.5**0.5) / 2, 0.55: 0.5, 1: 0}),
    ("step", {0: 1, 0.24: 1, 0.25: 0.1, 0.5: 0.01, 0.75: 0.001, 1: 0.001}),
    ("poly", {0: 1, 0.5: 0.5358867, 1: 0}),
])  # fmt: skip
def test_a_schedule_is_a_factor_of_the_rate_by_progress(name, factors):
    found = [optim.SCHEDULES[name](progress) for progress in factors]
    assert found == pytest.approx(list(factors.values()), rel=1e-6)


class Net(nn.Module):
    """A trunk with a frozen layer, a hidden layer and a score, as in the released network."""

    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3))
        self.trunk[0].requires_grad_(False)
        self.head = nn.ModuleDict({"hidden": nn.Linear(3, 4), "score": nn.Linear(4, 2)})


def groups(net, train):
    """For each group its parameters, rate and decay."""
    names = {id(p): name for name, p in net.named_parameters()}
    return [([names[id(p)] for p in g["params"]], g["lr"], g["weight_decay"])
            for g in optim.optimizer_for(net, train).param_groups]  # fmt: skip


@pytest.mark.parametrize("optimizer, bias", [("adamw", 1), ("sgd", 2)])
def test_rates_and_decays_of_each_group(optimizer, bias):
    """The score learns five times as fast, biases decay never, under SGD they learn twice as fast.

    The hidden layer learns as the trunk does; what is frozen is in no group.
    """
    train = Train.model_validate(TRAIN | {"optimizer": optimizer})
    assert groups(Net(), train) == [
        (["trunk.1.weight", "head.hidden.weight"], 0.001, 0.01),
        (["trunk.1.bias", "head.hidden.bias"], 0.001 * bias, 0),
        (["head.score.weight"], 0.005, 0.01),
        (["head.score.bias"], 0.005 * bias, 0),
    ]


def test_optimizers():
    made = {}
    for name in ("adamw", "sgd"):
        train = Train.model_validate(TRAIN | {"optimizer": name, "lr": 0.25})
        made[name] = optim.optimizer_for(Net(), train)
    assert type(made["adamw"]) is torch.optim.AdamW and type(made["sgd"]) is torch.optim.SGD
    assert made["sgd"].defaults["momentum"] == made["sgd"].param_groups[0]["momentum"] == 0.9
    assert [o.defaults["lr"] for o in made.values()] == [0.25, 0.25]


def test_the_schedule_scales_each_groups_own_rate_at_every_step():
    """poly at half time: 0.5 ** 0.9; a second call starts from the peak, not from the first."""
    train = Train.model_validate(TRAIN | {"schedule": "poly", "optimizer": "sgd"})
    optimizer = optim.optimizer_for(Net(), train)
    peaks = [0.001, 0.002, 0.005, 0.01]
    for progress in (0.5, 0.0, 0.75):
        optim.set_lr(optimizer, train, progress=progress)
        rates = [g["lr"] for g in optimizer.param_groups]
        assert rates == pytest.approx([p * (1 - progress) ** 0.9 for p in peaks], rel=1e-9)


def test_a_restored_optimizer_remembers_its_peaks():
    train = Train.model_validate(TRAIN | {"schedule": "poly"})
    first, again = (optim.optimizer_for(Net(), train) for _ in range(2))
    optim.set_lr(first, train, progress=0.5)
    assert [g["peak"] for g in first.param_groups] == [0.001, 0.001, 0.005, 0.005]
    again.load_state_dict(first.state_dict())
    optim.set_lr(again, train, progress=0.0)
    assert [g["lr"] for g in again.param_groups] == pytest.approx([0.001, 0.001, 0.005, 0.005])
