"""Results in bfloat16 are near those in float32, but not equal."""

import re

import pytest
import torch

from pipeline.core import runtime
from pipeline.core.errors import UserError
from tests import tiny_nets

# Largest difference as a fraction of the largest value. bfloat16 has 8 bits.
OUTPUT = 0.08  # some tens of layers round; measured: 0.034
STEP = 0.01  # two layers round; measured: 0.0016


@pytest.fixture
def photos(tmp_path):
    tiny_nets.photos(tmp_path)
    return tmp_path


def test_outputs_in_bfloat16_are_near_those_in_float32(photos, monkeypatch):
    tiny_nets.use(monkeypatch, precision="float32")
    exact, again = tiny_nets.segment(photos), tiny_nets.segment(photos)
    tiny_nets.use(monkeypatch, precision="bfloat16")
    rounded = tiny_nets.segment(photos)
    assert exact.numpy().tobytes() == again.numpy().tobytes()
    assert exact.numpy().tobytes() != rounded.numpy().tobytes()
    assert rounded.dtype == torch.float32
    tiny_nets.assert_near(rounded, exact, share=OUTPUT)


def test_a_training_step_in_bfloat16_is_near_the_step_in_float32(photos, monkeypatch):
    tiny_nets.use(monkeypatch, precision="float32")
    loss, update = tiny_nets.step(photos)
    tiny_nets.use(monkeypatch, precision="bfloat16")
    rounded_loss, rounded_update = tiny_nets.step(photos)
    assert rounded_loss == pytest.approx(loss, rel=1e-3) and rounded_loss != loss
    assert (rounded_update != update).any()
    tiny_nets.assert_near(rounded_update, update, share=STEP)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_description_of_a_run_names_the_precision_that_autocast_uses(precision, monkeypatch):
    tiny_nets.use(monkeypatch, precision=precision)
    assert runtime.describe()["precision"] == precision
    with runtime.autocast(torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == getattr(torch, precision)


def test_a_training_says_in_one_line_what_it_runs_on(monkeypatch):
    tiny_nets.use(monkeypatch, precision="float32")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    pattern = r"cpu, float32, 3 threads, torch [\d.]+\w*, Python 3\.\d+\.\d+\w*"
    assert re.fullmatch(pattern, runtime.summary())


def test_a_key_of_unfinished_work_stays_the_same_whatever_a_training_says(monkeypatch):
    """`str(runtime.describe())` is part of the keys of .resume."""
    tiny_nets.use(monkeypatch, precision="float32")
    version = torch.__version__.split("+")[0]
    expected = f"{{'device': 'cpu', 'precision': 'float32', 'torch': '{version}'}}"
    assert str(runtime.describe()) == expected


def test_an_unknown_precision_is_an_error(monkeypatch):
    monkeypatch.setenv("GUIDELABEL_PRECISION", "float16")
    with pytest.raises(UserError, match="float16: must be auto, float32 or bfloat16"):
        runtime.bf16_pays(torch.device("cpu"))
