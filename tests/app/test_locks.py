"""Damaged lock files: their last valid copies come back, and no stage computes again."""

import json

import pytest

from app import doctor, locks
from pipeline.core import locks as kept_locks
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout

VALID = "schema: '2.0'\nstages:\n  fuse:\n    cmd: python -m stages fuse\n"


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """A project with two lock files, of which only the first was kept."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(locks, "WRITE_SECONDS", 0.01)
    layout = Layout()
    layout.locks[0].write_text(VALID)
    kept_locks.keep(layout)
    layout.locks[1].parent.mkdir()
    layout.locks[1].write_text(VALID)
    return layout


def test_a_damaged_lock_is_named_with_its_fix(layout):
    assert doctor._locks(layout) == "DVC can read its lock files"
    layout.locks[1].write_text(VALID[:20])
    with pytest.raises(
        UserError, match=r"^optional/dvc\.lock: is damaged, .* `python cli\.py run`"
    ):
        doctor._locks(layout)


def test_a_copy_is_restored_and_a_lock_without_one_is_removed(layout):
    layout.locks[0].write_text("")
    layout.locks[1].write_text(VALID[:20])
    assert list(locks.restore(layout)) == [
        "dvc.lock was damaged, as after a kill; restored its last valid copy",
        "optional/dvc.lock was damaged, as after a kill; removed it, and DVC writes it again",
    ]
    assert layout.locks[0].read_text() == VALID and not layout.locks[1].exists()
    assert list(locks.restore(layout)) == []


def test_a_damaged_copy_is_not_restored(layout):
    layout.locks[0].write_text("")
    layout.kept_lock(layout.locks[0]).write_text(VALID[:20])
    assert "removed it" in next(locks.restore(layout))


@pytest.mark.parametrize("content", ["", '{"read": {"data/maps"'])
def test_a_damaged_record_of_running_processes_is_removed(layout, content):
    locks.RWLOCK.parent.mkdir(parents=True)
    locks.RWLOCK.write_text(json.dumps({"read": {}}))
    assert locks.damaged(layout) == []
    locks.RWLOCK.write_text(content)
    assert [line.split()[0] for line in locks.restore(layout)] == [".dvc/tmp/rwlock"]
    assert not locks.RWLOCK.exists()
