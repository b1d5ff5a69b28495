"""`webdataset` and Ray Data read our tars: the same ids, the same bytes."""

import hashlib
import json
import os
import subprocess
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from pipeline.core import formats, shards, tars
from tests.project import ROOT

PYTHON = ROOT / ".tools/readers/bin/python"  # `make readers`
IDS = ["a", "a.b", "a.b.c", "dogs/a", "dogs/a b", "dogs.v2/ä", "z%", "z%2E", ".z", "n" * 150]
HEAD = """
import hashlib, json, sys

found = {}
tars = sys.argv[1:]

def note(key, name, content):
    found.setdefault(key, {})[name] = hashlib.sha256(content).hexdigest()
"""
WEBDATASET = """
import webdataset

for sample in webdataset.WebDataset(tars, shardshuffle=False, empty_check=False):
    for name in sample:
        if not name.startswith("__"):
            note(sample["__key__"], name, sample[name])
"""
RAY = """
import ray

# A Ray of its own, also where another one runs.
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
for row in ray.data.read_webdataset(tars, decoder=None).iter_rows():
    for name in row:
        if row[name] is not None and not name.startswith("__"):
            note(row["__key__"], name, row[name])
"""


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A folder with two files of each id in three tars, and the hash of each file."""
    folder, hashes = tmp_path_factory.mktemp("packed"), {}
    for i, key in enumerate(IDS):
        formats.write_label(folder / f"{key}.png", np.full((2, 3), i, np.uint8))
        formats.write_arrays(folder / f"{key}.npz", {"x": np.arange(i)})
        hashes[key] = {
            kind: hashlib.sha256((folder / f"{key}.{kind}").read_bytes()).hexdigest()
            for kind in ("png", "npz")
        }
    shards.pack(folder, IDS, per_shard=4)
    assert len(list(folder.glob("*.tar"))) == 3
    return folder, hashes


@pytest.mark.slow
@pytest.mark.parametrize("reader", [WEBDATASET, RAY], ids=["webdataset", "ray.data"])
def test_a_reader_gets_each_id_with_its_bytes(packed, reader):
    if not PYTHON.exists():
        pytest.skip("webdataset and Ray Data are not installed; run `make readers`")
    folder, hashes = packed
    command = [PYTHON, "-c", HEAD + reader + "\nprint('\\n' + json.dumps(found))"]
    with TemporaryDirectory(prefix="r", dir="/tmp") as short:  # the names of sockets are short
        env = {"PATH": os.environ["PATH"], "HOME": short, "RAY_TMPDIR": short}
        env["RAY_USAGE_STATS_ENABLED"] = "0"
        command += sorted(folder.glob("*.tar"))
        done = subprocess.run(command, check=False, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert {tars.parts(f"{key}.x")[0]: files for key, files in found.items()} == hashes
