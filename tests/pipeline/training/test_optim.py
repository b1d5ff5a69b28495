"""Schedules, and the learning rate and weight decay of each parameter, by hand."""

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
def test_the_factor_of_each_schedule_by_hand(name, factors):
    computed = [optim.SCHEDULES[name](progress) for progress in factors]
    assert computed == pytest.approx(list(factors.values()), rel=1e-6)


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
def test_the_rate_and_decay_of_each_parameter(optimizer, bias):
    """The score layer learns five times as fast. Biases never decay; SGD doubles their rate.

    The hidden layer learns at the rate of the trunk. Frozen layers are in no group.
    """
    train = Train.model_validate(TRAIN | {"optimizer": optimizer})
    assert groups(Net(), train) == [
        (["trunk.1.weight", "head.hidden.weight"], 0.001, 0.01),
        (["trunk.1.bias", "head.hidden.bias"], 0.001 * bias, 0),
        (["head.score.weight"], 0.005, 0.01),
        (["head.score.bias"], 0.005 * bias, 0),
    ]


def test_the_optimizers_are_adamw_and_sgd_with_momentum():
    made = {}
    for name in ("adamw", "sgd"):
        train = Train.model_validate(TRAIN | {"optimizer": name, "lr": 0.25})
        made[name] = optim.optimizer_for(Net(), train)
    assert type(made["adamw"]) is torch.optim.AdamW and type(made["sgd"]) is torch.optim.SGD
    assert made["sgd"].defaults["momentum"] == made["sgd"].param_groups[0]["momentum"] == 0.9
    assert [o.defaults["lr"] for o in made.values()] == [0.25, 0.25]


def test_the_schedule_scales_the_highest_rate_of_each_group_at_every_step():
    """A call starts from the highest rate, not from the rate that the last call set."""
    train = Train.model_validate(TRAIN | {"schedule": "poly", "optimizer": "sgd"})
    optimizer = optim.optimizer_for(Net(), train)
    peaks = [0.001, 0.002, 0.005, 0.01]
    for progress in (0.5, 0.0, 0.75):
        optim.set_lr(optimizer, train, progress=progress)
        rates = [g["lr"] for g in optimizer.param_groups]
        assert rates == pytest.approx([p * (1 - progress) ** 0.9 for p in peaks], rel=1e-9)


def test_a_restored_optimizer_keeps_its_highest_rates():
    train = Train.model_validate(TRAIN | {"schedule": "poly"})
    first, restored = (optim.optimizer_for(Net(), train) for _ in range(2))
    optim.set_lr(first, train, progress=0.5)
    assert [g["peak"] for g in first.param_groups] == [0.001, 0.001, 0.005, 0.005]
    restored.load_state_dict(first.state_dict())
    optim.set_lr(restored, train, progress=0.0)
    assert [g["lr"] for g in restored.param_groups] == pytest.approx([0.001, 0.001, 0.005, 0.005])
