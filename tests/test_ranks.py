"""Two processes share a training: they learn what one learns, and end when one of them dies."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from app.commands import chain
from pipeline.core import formats, ranks
from pipeline.core.arrays import VOID
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.samples import read_samples
from pipeline.nets.weights import read_weights
from tests.conftest import photo
from tests.project import ROOT

ONE = {"OMP_NUM_THREADS": "1", "GUIDELABEL_WORKERS": "1", "GUIDELABEL_DEVICE": "cpu"}
TWO = {**ONE, "GUIDELABEL_NPROC": "2"}


def run_single(project, text):
    """Run a stage as one process."""
    return project.python("-m", "stages", *text.split(), **ONE)


def run_pair(project, text, check=True):
    """Run a stage as two processes."""
    return project.python("-m", "stages", *text.split(), check=check, **TWO)


TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")


def write_set(folder):
    """Write the training set of `small_fit`. Its labels hold different numbers of void pixels."""
    rng = np.random.default_rng(0)
    for i in range(8):
        photo(folder / f"{i}.png", size=(40, 36), seed=i)
        label = rng.integers(0, 2, (36, 40)).astype(np.uint8)
        label[: 4 * i] = VOID
        formats.write_label(folder / f"l{i}.png", label)


def small_fit(*args, check=True):
    env = {**os.environ, **ONE, "GUIDELABEL_PRECISION": "float32"}
    command = [sys.executable, *map(str, args)]
    subprocess.run(command, cwd=ROOT, env=env, check=check, capture_output=True)


@pytest.mark.slow
def test_two_ranks_that_are_killed_within_an_epoch_end_with_the_same_bytes(tmp_path):
    """Each rank has random numbers and losses of its own, and each epoch has two steps."""
    results = []
    for name, stops in (("whole", [99]), ("killed", [3, 99])):
        write_set(folder := tmp_path / name)
        for stop in stops:
            small_fit(*TORCHRUN, "-m", "tests.small_fit", folder, stop, check=stop == 99)
        results.append([p.read_bytes() for p in sorted(folder.glob("*-of-2.*"))])
    assert results[0] == results[1] and len(results[0]) == 4


def test_two_ranks_learn_the_weights_that_one_process_learns(tmp_path):
    """Views are padded with void, so the ranks have different numbers of known pixels."""
    write_set(tmp_path)
    for launcher in ((), TORCHRUN):
        small_fit(*launcher, "-m", "tests.small_fit", tmp_path)
    single, *pair = [
        read_weights(tmp_path / f"weights-{name}.safetensors")
        for name in ("0-of-1", "0-of-2", "1-of-2")
    ]
    for name, weights in single.items():
        assert (pair[0][name] == pair[1][name]).all()
        torch.testing.assert_close(pair[0][name], weights, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("text", ["train_segment guide", "train_seed", "train_saliency"])
def test_losses_of_two_ranks_agree_with_those_of_one_process(project, text):
    folder = {"train_segment guide": Layout().segmenter("guide"), "train_seed": Layout().seed_model,
              "train_saliency": Layout().saliency_model}[text]  # fmt: skip

    def losses():
        rows = formats.read_table(folder / "loss.tsv", columns=("epoch", "loss"), sep="\t")
        return [float(r["loss"]) for r in rows]

    run_single(project, text)
    single = losses()
    run_pair(project, text)
    assert losses() == pytest.approx(single, rel=0.15) and len(single) >= 1


def test_a_rank_that_fails_is_named(project):
    bad = next(s for s in read_samples(Layout().samples) if s.split == "train")
    bad.image.write_bytes(b"no image")
    done = run_pair(project, "train_segment guide", check=False)
    assert done.returncode != 0
    assert re.search(rf"error: train_segment_guide, rank [01]: .*{bad.image.name}", done.stderr)
    last = done.stderr.splitlines()[-1]
    assert re.fullmatch("error: rank . ended with exit code 1; the others were stopped", last)
    assert "Traceback" not in done.stderr and "torch.distributed" not in done.stderr


WAITS = """
import os, time
from pathlib import Path

SLICES, SHARED = {}, True

def run(layout, **_):
    Path(f"pid-{os.environ['RANK']}").write_text(str(os.getpid()))
    time.sleep(60)
"""


@pytest.mark.parametrize("signal_number, receiver, code, message", [
    (signal.SIGKILL, "rank 1", 1, "error: rank 1 was killed by SIGKILL; the others were stopped"),
    (signal.SIGINT, "all", 130, ""),
])  # fmt: skip
def test_a_signal_ends_all_ranks_with_one_line_at_most(
    copy, signal_number, receiver, code, message
):
    (copy.root / "stages/train_seed.py").write_text(WAITS)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal
    run = subprocess.Popen([sys.executable, "-m", "stages", "train_seed"], cwd=copy.root, text=True,
                           env={**os.environ, **TWO}, stderr=subprocess.PIPE,
                           start_new_session=True)  # fmt: skip
    signal.signal(signal.SIGINT, before)
    pids = [copy.root / f"pid-{i}" for i in range(2)]
    try:
        while not all(p.exists() and p.read_text() for p in pids):
            assert run.poll() is None, run.communicate()
            time.sleep(0.1)
        if receiver == "all":
            os.killpg(run.pid, signal_number)
        else:
            os.kill(int(pids[1].read_text()), signal_number)
        err = run.communicate(timeout=60)[1]
    finally:
        with contextlib.suppress(ProcessLookupError):  # if they have ended
            os.killpg(run.pid, signal.SIGKILL)
    assert (run.returncode, err.strip()) == (code, message)


def test_batches_that_ranks_cannot_share_are_named(project):
    project.change({"segment": {"train": {"batch": 15}}})
    done = run_pair(project, "train_segment guide", check=False)
    assert done.returncode != 0 and "2 ranks cannot share batches of 15" in done.stderr


@pytest.mark.slow
def test_two_launchers_that_meet_at_a_port_share_a_training(tmp_path):
    """Each launcher starts one process, as on two machines that share a file system."""
    write_set(tmp_path)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1",
               "--master-addr=127.0.0.1", f"--master-port={port}"]  # fmt: skip
    nodes = [
        subprocess.Popen([*command, f"--node-rank={i}", "-m", "tests.small_fit", tmp_path],
                         cwd=ROOT, env={**os.environ, **ONE}, stderr=subprocess.PIPE, text=True)
        for i in range(2)
    ]  # fmt: skip
    errors = [node.communicate(timeout=120)[1] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], errors
    zero, one = (read_weights(tmp_path / f"weights-{i}-of-2.safetensors") for i in range(2))
    assert all((one[name] == weights).all() for name, weights in zero.items())


def test_nproc_reaches_the_stages_unless_a_launcher_is_set(monkeypatch):
    launchers = []
    monkeypatch.setattr(chain, "run_dvc", lambda *_: launchers.append(ranks.launcher()) or 0)
    monkeypatch.setenv("GUIDELABEL_NPROC", "8")
    monkeypatch.chdir(ROOT)
    chain.run("prepare", nproc=3)
    chain.run("prepare", nproc=1)
    three, one = launchers
    assert three[-1] == "--nproc-per-node=3" and one == []
    monkeypatch.setenv("GUIDELABEL_LAUNCH", "srun torchrun")
    with pytest.raises(UserError, match="GUIDELABEL_LAUNCH already"):
        chain.run("prepare", nproc=3)


@pytest.mark.slow
@pytest.mark.soak
def test_two_ranks_end_with_the_same_score(cloned, tmp_path):
    """The demo's mIoU with two ranks lies within the 95 % interval of one process."""
    scores = []
    for name, env in (("one", {}), ("two", {"GUIDELABEL_NPROC": "2"})):
        project = cloned.copy(tmp_path / name)
        project.python("cli.py", "run", "evaluate_segment", **env)
        scores.append(project.scores()["refined_guide"]["val"])
    one, two = scores
    assert one["mIoU_low"] < two["mIoU"] < one["mIoU_high"], scores
