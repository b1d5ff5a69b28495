"""The command line: every command answers, and bad input is one line."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from pipeline.core.params import read_yaml
from tests.project import ROOT, Project, wait_for


def test_help_names_every_command():
    said = Project(ROOT).python("cli.py", "--help").stdout
    for name in ("run", "use", "status", "scores", "config", "doctor", "fetch", "table", "predict"):
        assert f" {name} " in said


def test_config_prints_the_validated_params(copy):
    assert "seed_threshold: 0.2" in copy.here("cli.py", "config").stdout


def test_doctor_examines_everything(copy):
    done = copy.here("cli.py", "doctor")
    assert done.returncode == 0, done.stdout
    assert [line.split()[1] for line in done.stdout.splitlines()] == [
        "python", "torch", "device", "CRF", "params", "data", "weights", "saliency",
    ]  # fmt: skip


def test_use_lays_a_preset_over_the_base_and_says_what_changed(copy):
    base = (copy.root / "params.yaml").read_text()
    said = copy.here("cli.py", "use", "voc_animals").stdout
    assert "data.source: shapes -> voc" in said
    values = read_yaml(copy.root / "params.yaml")
    assert (
        values["data"]["classes"][0] == "cat"
        and "# shapes | voc" in (copy.root / "params.yaml").read_text()
    )
    assert (copy.root / "data/params_before.yaml").read_text() == base
    copy.here("cli.py", "use", "voc2012_paper")
    assert read_yaml(copy.root / "params.yaml")["seed"]["backbone"] == "vgg16"
    copy.here("cli.py", "use", "shapes")
    assert (copy.root / "params.yaml").read_text() == base


@pytest.mark.parametrize("args, said", [
    (("use", "nothing"), "no preset 'nothing'; there are "),
    (("run", "nothing"), "no stage 'nothing'; choose one of prepare, "),
    (("convert", "nothing", "f.txt"), "no converter for 'nothing'; there is msra"),
    (("fetch", "nothing"), "no data set 'nothing'; there are voc2012"),
    (("predict", "nowhere.jpg", "-o", "/tmp/out"), "no network was trained there; run `python"),
    (("scores",), "no scores yet"),
])  # fmt: skip
def test_bad_input_is_one_line(copy, args, said):
    done = copy.python("cli.py", *args, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_misspelt_param_stops_before_anything_runs(copy):
    copy.change({"fuse": {"seed_treshold": 0.3}})
    done = copy.python("cli.py", "run", check=False)
    assert done.returncode == 1 and "did you mean seed_threshold?" in done.stderr
    assert not (copy.root / "data/raw").exists()


def test_doctor_names_the_fix_of_what_is_missing(copy):
    copy.change({
        "data": {"source": "voc", "root": "nowhere", "tags": "nowhere/Annotations"},
        "seed": {"weights": "no.pth"},
    })  # fmt: skip
    done = copy.here("cli.py", "doctor", check=False)
    assert done.returncode == 1
    assert "FAIL  data" in done.stdout and "cli.py fetch voc2012" in done.stdout
    assert "FAIL  weights" in done.stdout and "seed.weights" in done.stdout
    assert "FAIL  saliency" in done.stdout and "saliency.options.net.root" in done.stdout


def test_a_bad_tag_is_seen_by_doctor_and_before_anything_runs(copy, folder_set, folder_params):
    copy.change({"data": folder_params["data"]})
    assert f"folder: {folder_set}, 4 images; cat 2, dog 2" in copy.here(
        "cli.py", "doctor", check=False
    ).stdout  # fmt: skip
    (folder_set / "tags.csv").write_text("id,tags\np0,cat bird\n")
    said = "tags.csv: id 'p0': tag 'bird' is not in data.classes"
    done = copy.here("cli.py", "doctor", check=False)
    assert done.returncode == 1 and f"FAIL  data     {folder_set}/{said}" in done.stdout
    done = copy.python("cli.py", "run", check=False)
    assert done.returncode == 1 and said in done.stderr and "Running" not in done.stdout


def test_what_is_missing_is_said_before_anything_runs(copy):
    copy.change({"saliency": {"source": "onnx"}})
    done = copy.python("cli.py", "run", check=False)
    assert done.returncode == 1 and "correct saliency.options.onnx.file" in done.stderr
    assert not (copy.root / "data/raw").exists()


SLEEPS = """
import time
from pathlib import Path
from pipeline.core import runtime

SLICES = {}

def run(layout, **_):
    Path("started").touch()
    list(runtime.pool_map(time.sleep, [60] * 4, title="sleep"))
"""
GOES_ON = """
import signal, time
from pathlib import Path
signal.signal(signal.SIGINT, signal.SIG_IGN)
Path("started").touch()
time.sleep(60)
"""


def interrupted(project, *args, send=os.killpg, by=signal.SIGINT, deaf=False):
    """Press Ctrl-C once `started` is there: everything in the terminal gets it.

    `deaf`: what a script starts in the background ignores Ctrl-C, and its children do, too.
    """
    listens = signal.SIG_IGN if deaf else signal.default_int_handler
    before = signal.signal(signal.SIGINT, listens)
    with subprocess.Popen(
        [sys.executable, "cli.py", *args], cwd=project.root, start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "GUIDELABEL_WORKERS": "2"},
    ) as run:  # fmt: skip
        signal.signal(signal.SIGINT, before)
        try:
            while not (project.root / "started").exists():
                assert run.poll() is None, run.communicate()
                time.sleep(0.1)
            time.sleep(0.5)  # the pool has begun
            send(run.pid, by)
            out, err = run.communicate(timeout=20)
            wait_for(lambda: not [p for p in psutil.process_iter(["cwd"])
                                  if p.info["cwd"] == str(project.root)])  # fmt: skip
        finally:
            with contextlib.suppress(ProcessLookupError):  # as it should be
                os.killpg(run.pid, signal.SIGKILL)
    assert run.returncode == 130, out + err
    assert "Traceback" not in err, err
    assert out.splitlines()[-1].startswith("Stopped; what was finished is kept.")
    return out, err


def test_ctrl_c_during_a_stage_ends_with_one_line(copy, folder_params):
    copy.change({"data": folder_params["data"]})
    (copy.root / "stages/prepare.py").write_text(SLEEPS)
    _, err = interrupted(copy, "run", "prepare")
    # a plain sh that has got Ctrl-C dies of it, whatever its command made of it
    assert "exited with 130" in err or "exited with -2" in err
    assert not (copy.root / ".dvc/tmp/rwlock").read_text().strip("{}")  # dvc came to its end too


def test_kill_of_the_command_alone_ends_all_it_started(copy, folder_params):
    copy.change({"data": folder_params["data"]})
    (copy.root / "stages/prepare.py").write_text(SLEEPS)
    interrupted(copy, "run", "prepare", send=os.kill, by=signal.SIGTERM)
    assert not (copy.root / ".dvc/tmp/rwlock").read_text().strip("{}")


def test_kill_reaches_what_ignores_ctrl_c(copy, folder_params):
    copy.change({"data": folder_params["data"]})
    (copy.root / "stages/prepare.py").write_text(SLEEPS)
    interrupted(copy, "run", "prepare", send=os.kill, by=signal.SIGTERM, deaf=True)


def test_ctrl_c_stops_a_table_though_failed_cells_do_not(copy):
    (copy.root / "dvc.py").write_text(GOES_ON)
    out, _ = interrupted(copy, "table", "T1", "--row", "gap", "--seed", "0")
    assert "##" not in out


@pytest.mark.parametrize("of_dvc, said", [
    ("ERROR: 'data/x' is busy, it is being blocked by:\\n  (PID 1): dvc", "another run is at work"),
    ("ERROR: Unable to acquire lock. Most likely another DVC process", "another run is at work"),
    ("ERROR: 'dvc.lock' is invalid.", "'dvc.lock' is invalid"),
])  # fmt: skip
def test_status_tells_a_run_under_way_from_a_broken_file(copy, of_dvc, said):
    (copy.root / "dvc.py").write_text(f'import sys\nsys.exit("{of_dvc}")\n')
    done = copy.python("cli.py", "status", check=False)
    assert done.returncode == 1 and said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


HINTS = """
import sys, time
from pathlib import Path
print("Running stage 'fuse':", flush=True)
while not Path("go").exists():
    time.sleep(0.05)
print("Updating lock file 'dvc.lock'")
print("\\nTo track the changes with git, run:\\n\\n\\tgit add dvc.lock optional/dvc.lock")
print("\\nTo enable auto staging, run:\\n\\n\\tdvc config core.autostage true")
print("Use `dvc push` to send your updates to remote storage.")
print("Ran experiment(s): one")
"""


def test_dvcs_lines_come_at_once_and_its_hints_do_not(copy):
    (copy.root / "dvc.py").write_text(HINTS)
    with subprocess.Popen([sys.executable, "cli.py", "run", "fuse"], cwd=copy.root, text=True,
                          stdout=subprocess.PIPE) as run:  # fmt: skip
        first = run.stdout.readline()  # dvc waits
        (copy.root / "go").touch()
        rest, _ = run.communicate(timeout=20)
    assert (first, rest) == ("Running stage 'fuse':\n", "\nRan experiment(s): one\n")
    assert run.returncode == 0
