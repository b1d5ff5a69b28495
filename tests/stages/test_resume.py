"""A killed stage continues where it was, and its outputs have the same bytes."""

import os
import random
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from app import status
from pipeline.core import formats
from pipeline.core.layout import Layout
from stages import _resume, _run
from tests.conftest import SOAK
from tests.project import ONE_WORKER, ROOT, wait_for

PER_IMAGE = {
    "seed": ["data/maps", "data/tag_scores.csv"],
    "saliency_net": ["data/saliency/net"],
    "component_scores": ["data/component_scores"],
    "saliency classical": ["data/saliency/classical"],
    "fuse": ["data/fused/seeds", "data/fused/labels"],
    "diffuse": ["data/labels/guide"],
    "relabel seed": ["data/labels/seed"],
    "relabel_round round2": ["data/labels/round2"],
    "relabel_boxes grabcut_plus": ["data/labels/grabcut_plus"],
    "predict guide": ["data/logits/guide", "data/predictions/guide"],
    "refine guide": ["data/refined/guide"],
    "predict_maps": ["data/map_labels"],
}
KILLED = """
import os, runpy, shutil, sys
from pipeline.core import formats
where, name = {"write": (formats, "replace_file"), "move": (shutil, "move")}[sys.argv[1]]
left = int(sys.argv[2])
real = getattr(where, name)

def dies(first, second):
    global left
    if left == 0:
        if name == "replace_file":
            with first.with_name(first.name + ".part").open("wb") as half:
                half.write(b"half a file")
        os._exit(137)
    left -= 1
    real(first, second)

setattr(where, name, dies)
sys.argv = ["stages", *sys.argv[3:]]
runpy.run_module("stages", run_name="__main__", alter_sys=True)
"""


def killed(project, stage, *, at, after):
    """Run a stage and kill it at its write or move number `after` + 1."""
    done = project.python("-c", KILLED, at, str(after), *stage.split(), check=False,
                          GUIDELABEL_WORKERS="1")  # fmt: skip
    assert done.returncode == 137, done.stderr


def remove(outs):
    """Remove outputs, as DVC does before a stage runs."""
    for out in map(Layout().root.joinpath, outs):
        shutil.rmtree(out) if out.is_dir() else out.unlink(missing_ok=True)


def written(path):
    """When a file was written. A new file may get the inode of the one that it replaces."""
    return path.name, path.stat().st_mtime_ns


MARKS = {
    **dict.fromkeys(PER_IMAGE, SOAK),
    **dict.fromkeys(("fuse", "refine guide"), ()),  # a rule, the CRF
    # By a network: with a table, with two folders, with a CRF; and by a CRF with boxes.
    **dict.fromkeys(("seed", "predict guide", "predict_maps"), pytest.mark.slow),
    "relabel_boxes grabcut_plus": pytest.mark.slow,
}


@pytest.mark.parametrize("stage", [pytest.param(s, marks=MARKS[s]) for s in PER_IMAGE])
def test_a_killed_stage_continues_and_its_outputs_have_the_same_bytes(project, stage):
    outs, name = [project.root / out for out in PER_IMAGE[stage]], stage.split()[0]
    project.stages(stage)
    whole = formats.digest(*outs)
    remove(outs)
    killed(project, stage, at="write", after=8)  # 7 files, after the note of this call
    files = [p for p in (project.root / ".resume").glob("*-*/**/*")
             if p.is_file() and p.suffix != ".part"]  # fmt: skip
    assert len(files) == 7
    folders, names = {p.parent for p in files}, Counter(p.name for p in files)
    finished = {written(p) for p in files if names[p.name] == len(folders)}
    remove(outs)
    project.stages(stage)
    assert formats.digest(*outs) == whole
    moved = {written(p) for out in outs if out.is_dir() for p in out.iterdir()}
    if name in ("fuse", "diffuse", "refine"):  # others keep more, or compute whole batches again
        assert len(finished) >= 6  # an image with a file in one of two folders is made again
        assert finished <= moved
    assert not list((project.root / ".resume").glob("*-*"))


def test_a_killed_training_continues_and_its_model_has_the_same_bytes(project):
    project.change({"segment": {"train": {"epochs": 3}}})
    model = Layout().segmenter("guide")
    project.stages("train_segment guide")
    whole = formats.digest(model)
    remove([model])
    command = [sys.executable, "-m", "stages", "train_segment", "guide"]
    run = subprocess.Popen(command, env=os.environ | ONE_WORKER, stderr=subprocess.DEVNULL)
    wait_for(lambda: list(project.root.glob(".resume/*/state.pt")), seconds=60)
    run.kill()
    run.wait()
    said = project.here("-m", "stages", "train_segment", "guide").stderr
    assert re.search(r"resumes after \d/3 steps", said)
    assert formats.digest(model) == whole


def test_the_time_of_killed_calls_is_shown_with_that_of_the_last(tmp_path, monkeypatch):
    """The first call saves its last file after 300 s and is killed, the second after 20 s."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["stages", "fuse"])
    layout, now = Layout(), time.time()

    def call(*, age, params_key="a", save=0):
        """Start a call `age` seconds ago that saves its last file after `save` seconds."""
        work = _resume.folder(layout, weights=None, inputs=[], params_key=params_key)
        os.utime(layout.call("fuse"), (now - age,) * 2)
        if save:
            formats.write_json(work / "a/b.json", {})
            os.utime(work / "a", (now - age + save,) * 2)
            os.utime(work, (now - age,) * 2)
        _run._log(layout, 12.0)
        return status._log(layout, "fuse")[:2]

    assert call(age=1000, save=300) == (12, 12)
    assert call(age=500, save=20) == (312, 12)
    assert call(age=100) == (332, 12)
    layout.call("fuse").write_text("")  # a power cut
    os.utime(layout.call("fuse"))
    (tmp_path / "data/log/fuse.json").unlink()
    assert call(age=50, params_key="b", save=10) == (12, 12)  # other work starts at 0
    assert call(age=30, params_key="b") == (22, 12)
    assert call(age=20) == (12, 12)  # the last note is of other work


def test_a_stage_killed_between_two_moves_can_run_again(project):
    """Only the first output is moved; DVC deletes it before the next run."""
    outs = [project.root / out for out in PER_IMAGE["fuse"]]
    project.stages("fuse")
    whole = formats.digest(*outs)
    remove(outs)
    killed(project, "fuse", at="move", after=1)
    assert outs[0].exists() and not outs[1].exists()
    remove(outs)
    project.stages("fuse")
    assert formats.digest(*outs) == whole


def test_a_stage_that_ends_before_dvc_has_stored_its_outputs_computes_nothing_again(project):
    """DVC was killed, or its cache is on a full disk. It then deletes the outputs."""
    outs = [project.root / out for out in PER_IMAGE["fuse"]]
    project.stages("fuse", DVC_STAGE="fuse")
    whole, files = formats.digest(*outs), {written(p) for out in outs for p in out.iterdir()}
    remove(outs)
    project.stages("fuse", DVC_STAGE="fuse")
    assert {written(p) for out in outs for p in out.iterdir()} == files
    assert formats.digest(*outs) == whole
    kept = project.root / ".resume/train_seed-0123"
    kept.mkdir()  # of another stage, which is not finished
    project.stages("evaluate_guide", DVC_STAGE="evaluate_guide")
    assert [p.name for p in (project.root / ".resume").glob("*-*")] == [kept.name]


def test_an_interrupted_stage_keeps_its_unfinished_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["stages", "fuse"])
    Path("params.yaml").write_text("fuse: {}")
    kept = tmp_path / ".resume/fuse-0123"
    kept.mkdir(parents=True)

    def interrupted(layout):
        raise KeyboardInterrupt

    stage = SimpleNamespace(SLICES={}, run=interrupted)
    monkeypatch.setattr(_run, "_module", lambda name: stage)
    with pytest.raises(SystemExit) as end:
        runpy.run_module("stages", run_name="__main__")
    assert end.value.code == 130 and kept.exists()


IMPORTING = """
import importlib, runpy, sys
def fails(name, package=None):
    raise {error}
importlib.import_module = fails
sys.argv = ["stages", "fuse"]
runpy.run_module("stages", run_name="__main__")
"""


@pytest.mark.parametrize("error, said", [("KeyboardInterrupt", False), ("ValueError", True)])
def test_an_interrupt_while_a_stage_imports_is_silent(error, said):
    done = subprocess.run([sys.executable, "-c", IMPORTING.format(error=error)], cwd=ROOT,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == (1 if said else 130) and bool(done.stderr) == said


def test_workers_end_with_a_killed_parent(tmp_path):
    """Otherwise the processes of its pool would wait for work forever."""
    code = (
        "import os, time\n"
        "from pipeline.core import runtime\n"
        "def work(i):\n"
        "    open(f'{os.getpid()}.pid', 'w').close()\n"
        "    time.sleep(0.2)\n"
        "list(runtime.pool_map(work, list(range(1000)), title='test'))\n"
    )
    run = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path,
                           env={"PYTHONPATH": str(ROOT), "GUIDELABEL_WORKERS": "2"},
                           stderr=subprocess.DEVNULL)  # fmt: skip
    wait_for(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
    workers = [int(p.stem) for p in tmp_path.glob("*.pid")]
    assert all(map(alive, workers))
    run.kill()
    run.wait()
    wait_for(lambda: not any(map(alive, workers)))


def alive(pid):
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


EVERY = {
    **PER_IMAGE,
    "generate": ["data/raw/shapes", "data/raw/shapes_boxed"],
    "prepare": ["data/prepared", "data/labels/full"],
    "train_seed": ["data/models/seed"],
    "train_saliency": ["data/models/saliency"],
    "train_segment guide": ["data/models/segment/guide"],
    "evaluate_seed": ["data/scores/seed", "data/scores/seed.json"],
    "evaluate_saliency": ["data/scores/saliency", "data/scores/saliency.json"],
    "evaluate_guide": ["data/scores/guide", "data/scores/guide.json"],
    "score_labels guide": ["data/scores/labels/guide"],
    "evaluate_segment": ["data/scores/segment", "data/scores/segment.json"],
    "evaluate_maps": ["data/scores/maps", "data/scores/maps.json"],
    "report": ["data/report"],
}


# A stage that starts again, one with a file for each image, one with a network, and two trainings.
KINDS = ("prepare", "fuse", "predict guide", "train_saliency", "train_segment guide")


@pytest.mark.slow
@pytest.mark.parametrize("stage, sign", [
    *(pytest.param(stage, signal.SIGKILL, marks=() if stage in KINDS else pytest.mark.soak,
                   id=f"{stage}-kill") for stage in EVERY),
    pytest.param("train_seed", signal.SIGTERM, id="train_seed-term"),
    pytest.param("seed", signal.SIGTERM, marks=pytest.mark.soak, id="seed-term"),
])  # fmt: skip
def test_killed_at_any_moment(project, stage, sign):
    """At three random moments: while it starts, works or moves its outputs."""
    outs, (name, *args) = [project.root / out for out in EVERY[stage]], stage.split()
    command = [sys.executable, "-m", "stages", name, *args]
    remove(outs)
    start = time.monotonic()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    seconds, whole = time.monotonic() - start, formats.digest(*outs)
    chance = random.Random(f"{stage} {sign}")
    moments = [chance.uniform(0.1, 1) * seconds for _ in range(3)]
    for moment in moments:
        remove(outs)
        run = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        time.sleep(moment)
        run.send_signal(sign)
        run.wait()
    remove(outs)
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    assert formats.digest(*outs) == whole, moments
    assert not list((project.root / ".resume").glob(f"{stage.replace(' ', '_')}-*"))
