"""Ranks: their shares, what starts them, and their GPUs. No other process takes part."""

import pytest
import torch

from pipeline.core import ranks, runtime
from pipeline.core.errors import UserError


def test_the_ranks_shares_are_all_items(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("WORLD_SIZE", "3")
    shares = []
    for i in range(3):
        monkeypatch.setenv("RANK", str(i))
        shares += ranks.mine(range(8))
    assert sorted(shares) == list(range(8))


def test_the_environment_chooses_the_launcher(monkeypatch):
    assert ranks.launcher() == []
    monkeypatch.setenv("GUIDELABEL_NPROC", "4")
    assert ranks.launcher()[-1] == "--nproc-per-node=4"
    for count in ("two", "²", "0", "-1"):
        monkeypatch.setenv("GUIDELABEL_NPROC", count)
        with pytest.raises(UserError, match=f"GUIDELABEL_NPROC={count}: must be"):
            ranks.launcher()
    monkeypatch.setenv("MASTER", "node0")
    monkeypatch.setenv("GUIDELABEL_LAUNCH", "srun torchrun --rdzv-endpoint=$MASTER:29500")
    assert ranks.launcher() == ["srun", "torchrun", "--rdzv-endpoint=node0:29500"]
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    assert ranks.launcher() == []


def test_more_ranks_than_gpus_are_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("GUIDELABEL_DEVICE", "cuda")
    assert runtime.device().index == 0
    monkeypatch.setattr(ranks, "local", lambda: 1)
    with pytest.raises(UserError, match="1 GPUs and more ranks"):
        runtime.device()
