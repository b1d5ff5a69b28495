"""A lock file that DVC refuses is found, and only valid ones are kept."""

import contextlib

import pytest
from dvc.exceptions import DvcException
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from dvc.utils import strictyaml

from pipeline.core import locks
from pipeline.core.layout import Layout

LOCK = """schema: '2.0'
stages:
  prepare:
    cmd: python -m stages prepare
    deps:
    - path: data/lists
      hash: md5
      md5: 4c85a39e64da29c879a632bbcbd6b93f.dir
      size: 20232
      nfiles: 2
    - path: cli.py
      hash: md5
      md5: 03f6cacd63d25e805bb7eb524cecdafd
      size: 7956
      isexec: true
    params:
      params.yaml:
        data.classes:
        - cat
        random_seed: 0
    outs:
    - path: data/prepared
      hash: md5
      md5: '12345678901234567890123456789012'
      size: 5
  fuse:
    cmd: python -m stages fuse
"""


def dvc_reads(path):
    with contextlib.suppress(DvcException):
        strictyaml.load(str(path), COMPILED_LOCKFILE_SCHEMA)
        return True
    return False


def test_of_a_lock_cut_at_any_length_no_part_that_dvc_refuses_is_valid(tmp_path):
    path, valid = tmp_path / "dvc.lock", 0
    for length in range(len(LOCK) + 1):
        path.write_text(LOCK[:length])
        valid += (here := locks.is_valid(path))
        assert dvc_reads(path) or not here, LOCK[:length]
    assert here and valid < 0.6 * len(LOCK)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\0" * 100, b"- a list\n"])
def test_a_file_that_is_no_lock_is_refused(tmp_path, content):
    (tmp_path / "dvc.lock").write_bytes(content)
    assert not locks.is_valid(tmp_path / "dvc.lock")


def test_only_valid_locks_are_kept(tmp_path):
    layout = Layout(tmp_path)
    lock, *others = layout.locks
    lock.write_text(LOCK)
    locks.keep(layout)
    lock.write_text(LOCK[:30])
    locks.keep(layout)
    assert layout.kept_lock(lock).read_text() == LOCK
    assert not any(layout.kept_lock(other).exists() for other in others)
    lock.write_text(LOCK.replace("fuse", "diffuse"))
    locks.keep(layout)
    assert "diffuse" in layout.kept_lock(lock).read_text()
