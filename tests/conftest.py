"""Small data sets the tests make, and a copy of the project to run in."""

import os
import runpy
import shutil
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from pipeline import formats, page
from pipeline import params as reading
from pipeline.layout import SCORED, Layout

ROOT = Path(__file__).resolve().parents[1]
REAL = Path(os.environ.get("GUIDELABEL_REAL_DATA", ROOT.parent / "shared/data"))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def params():
    """params.yaml as plain dicts, free to change."""
    return reading.read_yaml(ROOT / "presets/shapes.yaml")


@pytest.fixture
def real_data():
    if not (REAL / "voc_animals").is_dir():
        pytest.skip(f"no real photographs in {REAL}; set GUIDELABEL_REAL_DATA to have this test")
    return REAL


def photo(path: Path, *, size=(40, 30), seed=0) -> None:
    """A noise photograph of `size` (width, height)."""
    noise = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise).save(path)


@pytest.fixture
def folder_set(tmp_path):
    """A folder source of four images with masks: classes cat and dog."""
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
    """The `data` section for `folder_set`."""
    params["data"] |= {
        "source": "folder",
        "root": str(folder_set),
        "tags": str(folder_set / "tags.csv"),
        "classes": ["cat", "dog"],
    }
    return params


@pytest.fixture
def devkit(tmp_path):
    """A VOC devkit of three images: VOC's own indices, XML annotations, SBD-style masks."""
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


TINY = {
    "data": {"options": {"shapes": {"train": 24, "val": 8, "boxed": 12, "size_px": 64}}},
    "seed": {"train": {"epochs": 2, "size_px": 64}, "maps": {"size_px": 64, "scales": [1.0]}},
    "saliency": {
        "options": {"net": {"train": {"epochs": 1, "size_px": 64}, "infer": {"size_px": 64}}}
    },
    "segment": {"train": {"epochs": 1, "size_px": 64}, "predict": {"size_px": 64}},
    "report": {"best": 1, "worst": 1, "random": 1},
}


class Project:
    """A copy of the project in a folder of its own, as a newcomer has it after `git clone`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        files = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout.split()  # fmt: skip
        for name in files:
            if (ROOT / name).is_file() and not name.startswith(("tests/", "docs/")):
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, root / name)
        shutil.copy2(ROOT / "presets/shapes.yaml", root / "params.yaml")  # whatever is in use here
        self.run("git", "init", "-q")
        self.run("git", "add", "-A")
        self.commit()

    def run(self, *args: str, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        done = subprocess.run(
            args, cwd=self.root, capture_output=True, text=True, check=False,
            env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "PATH": path, **env},
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def commit(self) -> None:
        who = ("-c", "user.name=test", "-c", "user.email=test@example.org")
        self.run("git", *who, "commit", "-qam", "state", "--allow-empty")

    def python(self, *args: str, **kw) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, *args, **kw)

    def repro(self, *args: str) -> list[str]:
        """Run dvc repro; the stages that ran."""
        said = self.python("-m", "dvc", "repro", *args).stdout
        return [line.split("'")[1] for line in said.splitlines() if line.startswith("Running")]

    def change(self, changes: dict) -> None:
        """Lay `changes` over params.yaml."""
        from ruamel.yaml import YAML

        values = reading.read_yaml(self.root / "params.yaml")
        reading.lay_over(values, changes)
        with (self.root / "params.yaml").open("w") as f:
            YAML().dump(values, f)


def wait_for(condition, seconds=20):
    """Until `condition()` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def scores_of(project: Project) -> dict:
    """The scores of all links of its last run."""
    return page.read_scores(Layout(project.root).scores(group) for group in SCORED)


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The project after one whole tiny run."""
    project = Project(tmp_path_factory.mktemp("project"))
    project.change(TINY)
    project.commit()
    project.first_run = project.repro()
    return project


TINY_CHAIN = (
    "generate", "prepare", "train_seed", "seed", "evaluate_seed", "train_saliency", "saliency net",
    "evaluate_saliency", "fuse", "diffuse", "evaluate_guide", "train_segment guide",
    "predict guide", "refine guide", "evaluate_segment",
)  # fmt: skip


def run_stages(*stages: str) -> None:
    """Run stages as `python -m stages.NAME` does, here, without starting a Python for each."""
    with mock.patch.dict(os.environ, {"GUIDELABEL_WORKERS": "1"}):
        for name, *args in map(str.split, stages):
            sys.modules.pop(f"stages.{name}", None)  # runpy warns of a module imported before
            with mock.patch("sys.argv", [name, *args]):
                runpy.run_module(f"stages.{name}", run_name="__main__", alter_sys=True)


@pytest.fixture(scope="session")
def tiny_chain(tmp_path_factory):
    """A project in which every stage has run on a tiny generated set; base.yaml: its params."""
    project, here = Project(tmp_path_factory.mktemp("tiny")), os.getcwd()
    project.change(TINY)
    os.chdir(project.root)
    try:
        run_stages(*TINY_CHAIN)
    finally:
        os.chdir(here)
    shutil.copy(project.root / "params.yaml", project.root / "base.yaml")
    return project


@pytest.fixture
def project(tiny_chain, monkeypatch):
    """The finished tiny chain, with its params restored, as the working folder."""
    monkeypatch.chdir(tiny_chain.root)
    shutil.copy("base.yaml", "params.yaml")
    return tiny_chain
