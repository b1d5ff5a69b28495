"""Faults of the machine end a stage with one line, and the next run goes on."""

import errno
import os
import pickle

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.core import faults, formats
from pipeline.core.errors import UserError
from pipeline.nets.weights import write_weights
from pipeline.training import state
from tests.small_fit import Small

NOISE = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
TERA = 10**14  # more bytes than any machine has


def save_state(path):
    net = Small()
    state.Run(net, torch.optim.AdamW(net.parameters()), steps=1).save(path)


@pytest.mark.parametrize("write", [
    lambda path: formats.write_label(path, NOISE[..., 0]),
    lambda path: formats.write_maps(path, NOISE, NOISE[0, 0]),
    lambda path: formats.write_json(path, {"a": 1}),
    lambda path: write_weights(path, {"a": torch.zeros(100)}),
    save_state,
], ids=["png", "npz", "json", "weights", "state"])  # fmt: skip
def test_a_full_disk_is_one_line_whatever_is_written_and_keeps_the_old_file(tmp_path, write):
    """/dev/full is a file on a disk without space."""
    path = tmp_path / "file.pt"
    path.write_bytes(b"old")
    for part in (path.with_name("file.pt.part"), path.with_suffix(".part")):
        part.symlink_to("/dev/full")
    with pytest.raises((OSError, UserError)) as raised:
        write(path)
    error = pickle.loads(pickle.dumps(raised.value))  # as from another process
    line = str(error) if isinstance(error, UserError) else faults.explain(error)
    assert "(No space left on device); make room" in line
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("allocate", [
    lambda: np.ones(TERA),
    lambda: torch.zeros(TERA),
    lambda: cv2.resize(np.zeros((9, 9), np.float32), (2**20, 2**20)),
    lambda: bytearray(TERA),
], ids=["numpy", "torch", "opencv", "python"])  # fmt: skip
def test_memory_that_runs_out_is_one_line_whoever_asks_for_it(allocate, monkeypatch):
    monkeypatch.setenv("GUIDELABEL_WORKERS", "3")
    with pytest.raises((MemoryError, RuntimeError, cv2.error)) as raised:
        allocate()
    line = faults.explain(raised.value)
    assert line.startswith("memory ran out; set GUIDELABEL_WORKERS to less than 3, or lower batch")


def test_a_full_disk_names_the_file_if_the_system_does():
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "data/maps/a.npz")
    assert faults.explain(error).startswith("data/maps/a.npz: the disk is full")


@pytest.mark.parametrize("bug", [
    ValueError("a bug"), RuntimeError("shapes differ"), FileNotFoundError(2, "No such file", "x"),
    Image.DecompressionBombError("too large"),
])  # fmt: skip
def test_a_bug_keeps_its_traceback(bug):
    assert faults.explain(bug) == ""


def dies(_):
    os.kill(os.getpid(), 9)


class Deadly(torch.utils.data.Dataset):
    """Images whose loader process is killed, as when memory runs out."""

    def __len__(self):
        return 4

    def __getitem__(self, i):
        dies(i)


def test_a_killed_loader_process_is_one_line():
    with pytest.raises(RuntimeError) as raised:
        list(torch.utils.data.DataLoader(Deadly(), num_workers=1))
    line = faults.explain(raised.value)
    assert line.startswith("a process that loads images was killed, perhaps because memory ran out")


def test_a_full_disk_is_recognised_behind_the_error_that_torch_makes_of_it():
    """torch.save writes the end of its archive even after a failure, and fails at that."""
    with pytest.raises(RuntimeError) as caught:
        try:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            raise RuntimeError("unexpected pos 1970688 vs 1970584")  # noqa: B904
    assert "the disk is full" in faults.explain(caught.value)


def test_memory_that_ran_out_is_seen_behind_the_error_of_a_library():
    error = ValueError("functions should be defined in a file")
    error.__cause__ = MemoryError()
    assert faults.explain(error).startswith("memory ran out")


def test_python_fails_without_a_reason_when_memory_runs_out_while_it_imports():
    line = faults.explain(SystemError("error return without exception set"))
    assert line.startswith("Python failed without a reason, perhaps because memory ran out; set")
    assert faults.explain(SystemError("Negative size passed to PyUnicode_New")) == ""
