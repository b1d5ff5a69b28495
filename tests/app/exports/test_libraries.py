"""Every export read back by the format's own library, in a second environment.

datumaro and label-studio-sdk need other versions of OpenCV and Pillow than ours.
"""

import fcntl
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from app.exports.masks import FORMATS, export_masks
from tests.app.exports.conftest import labels
from tests.app.exports.test_masks import expected, source_of
from tests.project import ROOT

READER = Path(__file__).with_name("libraries.py")


@pytest.fixture(scope="session")
def python():
    """The Python of the second environment. `make formats` makes it, unless it is there."""
    with (ROOT / ".formats.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = subprocess.run(
            ["make", "formats", f"PYTHON={sys.executable}"],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if made.returncode:
        pytest.skip(f"`make formats` failed: {made.stderr.strip().splitlines()[-1]}")
    return ROOT / ".formats/bin/python"


def read(python, name, folder, tmp_path):
    env = os.environ | {
        "TORCH_FOLDER": sysconfig.get_path("purelib"),
        "YOLO_CONFIG_DIR": str(tmp_path),
        "PYTHONPATH": "",
    }
    done = subprocess.run(
        [python, READER, name, folder], capture_output=True, text=True, check=False, env=env
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {key: np.array(rows) for key, rows in json.loads(done.stdout).items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_the_library_reads_the_same_masks(python, made, tmp_path, name):
    out = tmp_path / "out put"
    export_masks(source_of(made), out, name=name)
    masks = read(python, name, out, tmp_path)
    assert masks.keys() == labels().keys()
    for i, mask in expected(name).items():
        assert np.array_equal(masks[i], mask), i


@pytest.mark.slow
def test_pycocotools_fills_polygons_within_the_tolerance(python, made, tmp_path):
    out = tmp_path / "out"
    export_masks(source_of(made), out, name="coco", polygons=True)
    masks = read(python, "coco", out, tmp_path)
    for i, mask in expected("coco").items():
        away = np.pad(mask, 2, constant_values=0)
        around = [np.roll(away, (y, x), (0, 1))[2:-2, 2:-2] for y in (-1, 0, 1) for x in (-1, 0, 1)]
        near_outline = np.any([a != mask for a in around], axis=0)
        assert not ((masks[i] != mask) & ~near_outline).any(), i
