import os
import subprocess
import sys

import pytest
import torch

from pipeline.core import runtime
from pipeline.core.errors import UserError

FAULTS = """
import resource, torch
from pipeline.core import runtime
{keep}
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    torch.zeros(2**26, dtype=torch.uint8)
before = faults()
for _ in range(5):
    torch.zeros(2**26, dtype=torch.uint8)
print(faults() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc alone")
def test_kept_memory_is_not_cleared_again_and_again():
    found = []
    for keep in ("", "runtime.keep_memory()"):
        command = [sys.executable, "-c", FAULTS.format(keep=keep)]
        found.append(int(subprocess.run(command, capture_output=True, check=True).stdout))
    given_back, kept = found
    assert kept < given_back / 10


def test_a_worker_that_is_killed_is_one_line(monkeypatch):
    monkeypatch.setenv("GUIDELABEL_WORKERS", "2")
    with pytest.raises(UserError, match="set GUIDELABEL_WORKERS to less than 2"):
        list(runtime.pool_map(os._exit, [137, 137], title="test"))


@pytest.mark.parametrize("count", ["²", "2.0", "-1", "two", " 2"])
def test_a_number_of_workers_that_is_no_whole_number_is_one_line(monkeypatch, count):
    monkeypatch.setenv("GUIDELABEL_WORKERS", count)
    with pytest.raises(UserError, match=f"^GUIDELABEL_WORKERS={count}: must be a whole number$"):
        runtime.workers()


@pytest.mark.parametrize("name", ["cpu:banana", "cpu:", "cpu:-1", "banana", "cuda:1", "cuda:²", ""])
def test_a_device_that_this_machine_lacks_is_one_line(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("GUIDELABEL_DEVICE", name)
    with pytest.raises(UserError, match=f"^GUIDELABEL_DEVICE={name}: not on this machine; use aut"):
        runtime.device()


@pytest.mark.parametrize("name", ["cpu", "cpu:0", "cuda:0"])
def test_a_device_may_have_a_number(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("GUIDELABEL_DEVICE", name)
    assert str(runtime.device()) == name


def test_an_unknown_precision_is_one_line(monkeypatch):
    monkeypatch.setenv("GUIDELABEL_PRECISION", "float16")
    with pytest.raises(UserError, match=r"must be auto, float32 or bfloat16$"):
        runtime.bf16_pays(torch.device("cpu"))
