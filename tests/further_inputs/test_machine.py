"""Environment variables, and the disk."""

import errno
import os
import shutil
import tempfile
from unittest import mock

import pytest

from pipeline.core import decoding, faults, ranks, runtime, shards
from tests.further_inputs.doors import refuses


@pytest.mark.parametrize("name, value, read", [
    ("GUIDELABEL_WORKERS", "9999999", runtime.workers),
    ("GUIDELABEL_WORKERS", "4.0", runtime.workers),
    ("GUIDELABEL_NPROC", "99999999", ranks.launcher), ("GUIDELABEL_NPROC", "-1", ranks.launcher),
    ("GUIDELABEL_DEVICE", "meta", runtime.device), ("GUIDELABEL_DEVICE", "CPU", runtime.device),
    ("GUIDELABEL_MAX_MEGAPIXELS", "1e3", decoding.max_megapixels),
    ("GUIDELABEL_SHARD", "-5", shards.images_per_tar),
    ("GUIDELABEL_SHARD", "9" * 10, shards.images_per_tar),
])  # fmt: skip
def test_environment_variables(monkeypatch, name, value, read):
    monkeypatch.setenv(name, value)
    refuses(read, f"^{name}={value}: ")


def test_no_folder_for_temporary_files():
    with (
        mock.patch.object(tempfile, "_candidate_tempdir_list", lambda: ["/nowhere"]),
        mock.patch.object(tempfile, "tempdir", None),
        pytest.raises(FileNotFoundError) as caught,
    ):
        tempfile.mkdtemp()
    assert "make room in /tmp or set TMPDIR" in faults.explain(caught.value)


def test_a_disk_that_is_full_while_a_cell_is_copied():
    full = shutil.Error([("pipeline/a.py", "cell/a.py", f"[Errno 28] {os.strerror(errno.ENOSPC)}")])
    assert faults.explain(full).startswith("cell/a.py: the disk is full; make room, then run the")
    assert faults.explain(shutil.Error([("a", "b", "[Errno 13] Permission denied")])) == ""
