"""Whether another run uses the folder, read from DVC's record of locks."""

import logging
import os
import subprocess
import time

import psutil
import pytest

from app import dvc_process, locks, watched_dvc
from pipeline.core import formats


def lock(pid, mode="write"):
    """Record that a process uses a path, as DVC does."""
    user = {"pid": pid, "cmd": "dvc repro"}
    formats.write_json(locks.RWLOCK, {mode: {"data/maps": [user] if mode == "read" else user}})


def test_a_zombie_and_a_younger_process_hold_no_lock(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with subprocess.Popen(["true"]) as ended:
        while psutil.Process(ended.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        lock(ended.pid)
        assert not dvc_process._busy()
    with subprocess.Popen(["sleep", "60"]) as younger:
        lock(younger.pid)
        assert dvc_process._busy()
        hour_ago = time.time() - 3600
        os.utime(locks.RWLOCK, (hour_ago, hour_ago))
        assert not dvc_process._busy()
        younger.kill()


@pytest.mark.parametrize(
    "pid, busy", [(os.getpid(), True), (2**22 + 1, False)], ids=["own", "dead"]
)
@pytest.mark.parametrize("mode", ["read", "write"])
def test_only_the_lock_of_a_living_process_counts(tmp_path, monkeypatch, mode, pid, busy):
    monkeypatch.chdir(tmp_path)
    assert not dvc_process._busy()
    lock(pid, mode)
    assert dvc_process._busy() == busy


@pytest.mark.parametrize(
    "text, says",
    [
        ("failed to run: python -m stages seed, exited with -9", "killed the stage (signal 9)"),
        ("exited with 137", "killed the stage (signal 9)"),
        ("exited with -11", "a library crashed (signal 11)"),
        ("exited with 134", "a library crashed (signal 6)"),
        ("exited with 1", ""),
        ("exited with 130", ""),
        ("failed to reproduce 'seed'", ""),
    ],
)
def test_a_signal_that_ended_a_stage_is_explained(text, says):
    line = watched_dvc.explain_signal(text)
    assert says in line and bool(says) == bool(line)


def test_the_explanation_looks_behind_the_error_that_dvc_logs(monkeypatch):
    monkeypatch.setattr(watched_dvc.Record, "explanations", [])
    cause = OSError("failed to run: x, exited with -9")
    error = ValueError("failed to reproduce 'x'")
    error.__cause__ = cause
    info = (type(error), error, None)
    watched_dvc.Record("dvc", logging.INFO, "", 1, "", (), info)
    assert not watched_dvc.Record.explanations
    watched_dvc.Record("dvc", logging.ERROR, "", 1, "", (), info)
    assert len(watched_dvc.Record.explanations) == 1
