"""Whether another run uses the folder, read from DVC's record of locks."""

import os

import pytest

from app import dvc_process, locks
from pipeline.core import formats


@pytest.mark.parametrize(
    "pid, busy", [(os.getpid(), True), (2**22 + 1, False)], ids=["own", "dead"]
)
@pytest.mark.parametrize("mode", ["read", "write"])
def test_only_the_lock_of_a_living_process_counts(tmp_path, monkeypatch, mode, pid, busy):
    monkeypatch.chdir(tmp_path)
    assert not dvc_process._busy()
    user = {"pid": pid, "cmd": "dvc repro"}
    users_of = {mode: {"data/maps": [user] if mode == "read" else user}}
    formats.write_json(locks.RWLOCK, users_of)
    assert dvc_process._busy() == busy
