"""Small data sets, and copies of the project in which tests run the chain."""

import contextlib
import fcntl
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.core import formats
from pipeline.core.params import read_yaml
from tests.project import ROOT, TINY, Project

SOAK = (pytest.mark.slow, pytest.mark.soak)  # for the long form of a slow test
REAL = Path(os.environ.get("GUIDELABEL_REAL_DATA", ROOT.parent / "shared/data"))


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")


@pytest.hookimpl(trylast=True)  # after -m has left out tests
def pytest_collection_modifyitems(items):
    """Let two workers begin with different work. One makes the finished project meanwhile.

    pytest-xdist gives each worker a half. The second half begins with what needs no such project.
    """
    needs, rest = [], []
    for item in items:
        (needs if "finished" in item.fixturenames else rest).append(item)
    half = len(items) // 2
    items[:] = [*needs[:half], *rest, *needs[half:]]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def params():
    """The params of the demo as plain dicts. A test may change them."""
    return read_yaml(ROOT / "presets/shapes.yaml")


@pytest.fixture
def real_data():
    if not (REAL / "voc_animals").is_dir():
        pytest.skip(f"no real photographs in {REAL}; set GUIDELABEL_REAL_DATA to run this test")
    return REAL


def photo(path: Path, *, size=(40, 30), seed=0) -> None:
    """Write an image of noise with the size (width, height)."""
    noise = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise).save(path)


@pytest.fixture
def folder_set(tmp_path):
    """The data of a folder source: four images with masks of the classes cat and dog."""
    root = tmp_path / "photos"
    for i in range(4):
        photo(root / "images" / f"p{i}.png", seed=i)
        label = np.zeros((30, 40), np.uint8)
        label[5:20, 5:20] = 1 + i % 2
        formats.write_label(root / "masks" / f"p{i}.png", label)
    rows = [(f"p{i}", ["cat", "dog"][i % 2], "train" if i < 3 else "val") for i in range(4)]
    formats.write_table(root / "tags.csv", rows, columns=("id", "tags", "split"))
    return root


@pytest.fixture
def folder_params(params, folder_set):
    """The params for `folder_set`."""
    params["data"] |= {
        "source": "folder",
        "root": str(folder_set),
        "tags": str(folder_set / "tags.csv"),
        "classes": ["cat", "dog"],
    }
    return params


@pytest.fixture
def devkit(tmp_path):
    """A VOC devkit of three images: masks with VOC's indices, one as SBD has it, and XML tags."""
    root = tmp_path / "VOC2012"
    tags = {"a": ["dog", "person"], "b": ["cat"], "c": ["sofa"]}
    for i, (key, names) in enumerate(tags.items()):
        photo(root / "JPEGImages" / f"{key}.jpg", seed=i)
        label = np.zeros((30, 40), np.uint8)
        label[5:20, 5:20], label[0, :] = 12 if key == "a" else 8, 255
        label[5:20, 22:30] = 15 if key == "a" else 18
        masks = "SegmentationClass" if key != "b" else "SegmentationClassAug"
        formats.write_label(root / masks / f"{key}.png", label)
        objects = "".join(f"<object><name>{n}</name></object>" for n in names)
        (root / "Annotations").mkdir(exist_ok=True)
        (root / "Annotations" / f"{key}.xml").write_text(f"<annotation>{objects}</annotation>")
    lists = root / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nc\n")
    (lists / "val.txt").write_text("b\n")
    return root


@contextlib.contextmanager
def made_once(tmp_path_factory, name):
    """Yield a folder that all pytest-xdist workers of a run share. The first worker makes it."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield base / name


@pytest.fixture(scope="session")
def cloned(tmp_path_factory):
    """The project before its first run, shared by all tests. No test may change it."""
    with made_once(tmp_path_factory, "cloned") as root:
        return Project(root) if root.exists() else Project.clone(root)


@pytest.fixture
def copy(cloned, tmp_path):
    """A copy of the project before its first run."""
    return cloned.copy(tmp_path / "project")


@pytest.fixture(scope="session")
def finished(tmp_path_factory, cloned):
    """The project after one whole tiny run by DVC, shared by all tests. No test may change it.

    `first_run` lists the stages that ran.
    """
    with made_once(tmp_path_factory, "finished") as root:
        stages = root.with_suffix(".json")
        if not stages.exists():
            project = cloned.copy(root)
            project.change(TINY)
            project.commit()
            formats.write_json(stages, project.repro())
    project = Project(root)
    project.first_run = formats.read_json(stages)
    return project


@pytest.fixture
def project(finished, tmp_path, monkeypatch):
    """A copy of the project after one whole tiny run. It is the working folder."""
    project = finished.copy(tmp_path / "project")
    monkeypatch.chdir(project.root)
    return project
