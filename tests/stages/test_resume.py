"""A stage that is killed goes on where it was, and ends with the same bytes."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline import formats
from pipeline.layout import Layout
from tests.conftest import ROOT

PER_IMAGE = {
    "seed": ["data/maps", "data/tag_scores.csv"],
    "saliency net": ["data/saliency/net"],
    "saliency classical": ["data/saliency/classical"],
    "fuse": ["data/fused/seeds", "data/fused/labels"],
    "diffuse": ["data/labels/guide"],
    "relabel seed": ["data/labels/seed"],
    "relabel round2": ["data/labels/round2"],
    "predict guide": ["data/logits/guide", "data/predictions/guide"],
    "refine guide": ["data/refined/guide"],
}
KILLED = """
import os, runpy, sys
from pipeline import formats
left, real = int(sys.argv[1]), formats._replace

def dies(path, write):
    global left
    if left == 0:
        with path.with_name(path.name + ".part").open("wb") as half:
            half.write(b"half a file")
        os._exit(137)
    left -= 1
    real(path, write)

formats._replace = dies
sys.argv = sys.argv[2:]
runpy.run_module("stages." + sys.argv[0], run_name="__main__", alter_sys=True)
"""


KILLED_IN_A_MOVE = """
import os, runpy, shutil, sys
left, real = 1, shutil.move

def dies(source, target):
    global left
    if left == 0:
        os._exit(137)
    left -= 1
    real(source, target)

shutil.move = dies
sys.argv = sys.argv[1:]
runpy.run_module("stages." + sys.argv[0], run_name="__main__", alter_sys=True)
"""


def remove(outs):
    """As DVC does before a stage runs."""
    for out in map(Layout().root.joinpath, outs):
        shutil.rmtree(out) if out.is_dir() else out.unlink(missing_ok=True)


SHORT = ("fuse", "refine guide")  # a rule, the CRF


@pytest.mark.parametrize(
    "stage", [s if s in SHORT else pytest.param(s, marks=pytest.mark.slow) for s in PER_IMAGE]
)
def test_killed_stage_goes_on_and_ends_with_the_same_bytes(project, stage):
    outs = [project.root / out for out in PER_IMAGE[stage]]
    name, *args = stage.split()
    project.python("-m", f"stages.{name}", *args)
    whole = formats.digest(*outs)
    remove(outs)
    done = project.python("-c", KILLED, "7", name, *args, check=False, GUIDELABEL_WORKERS="1")
    assert done.returncode == 137, done.stderr
    kept = {p.stat().st_ino for p in (project.root / ".resume").rglob("*")
            if p.is_file() and p.suffix != ".part"}  # fmt: skip
    assert len(kept) == 7
    remove(outs)
    project.python("-m", f"stages.{name}", *args)
    assert formats.digest(*outs) == whole
    moved = {p.stat().st_ino for out in outs if out.is_dir() for p in out.iterdir()}
    if name in ("fuse", "diffuse", "refine"):  # the others keep more, or make batches again
        assert kept <= moved
    assert not list((project.root / ".resume").iterdir())


def test_killed_between_two_moves_loses_nothing_for_good(project):
    """The first output is in its place, where DVC deletes it; the second is not."""
    outs = [project.root / out for out in PER_IMAGE["fuse"]]
    project.python("-m", "stages.fuse")
    whole = formats.digest(*outs)
    remove(outs)
    done = project.python("-c", KILLED_IN_A_MOVE, "fuse", check=False, GUIDELABEL_WORKERS="1")
    assert done.returncode == 137 and outs[0].exists() and not outs[1].exists()
    remove(outs)
    project.python("-m", "stages.fuse")
    assert formats.digest(*outs) == whole


def test_workers_end_with_a_killed_parent(tmp_path):
    """A pool's processes would wait for work for ever."""
    code = (
        "import os, time\n"
        "from pipeline import runtime\n"
        "def work(i):\n"
        "    open(f'{os.getpid()}.pid', 'w').close()\n"
        "    time.sleep(0.2)\n"
        "list(runtime.pool_map(work, list(range(1000)), what='test'))\n"
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


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)
