"""The command line: each command works, and bad input gives one line."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

import cli
from app import dvc_process, fetch, graph, review
from app.commands import choices
from app.console import LAYOUT
from app.exports import masks, model_files, voc_server
from app.imports import masks as imported
from app.tag_sources import readers
from pipeline.core.params import read_yaml
from tests.project import ROOT, Project, wait_for


def test_help_names_every_command():
    text = Project(ROOT).python("cli.py", "--help").stdout
    for name in {words[0] for words in VERBS}:
        assert f" {name} " in text


def verbs(group, *before):
    """Yield the words and the command of each verb."""
    for name, verb in group.commands.items():
        words = (*before, name)
        yield from verbs(verb, *words) if hasattr(verb, "commands") else [(words, verb)]


def code_of(*words):
    """Run a command in this process, and return its exit code."""
    with pytest.raises(SystemExit) as e:
        cli.make_command().main([*words], prog_name="guidelabel")
    return e.value.code


VERBS = dict(verbs(cli.make_command()))


@pytest.mark.parametrize("words", VERBS, ids="-".join)
def test_each_verb_has_help_quiet_and_json_and_code_2_for_wrong_usage(words, capsys):
    assert code_of(*words, "--help") == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"Usage: guidelabel {' '.join(words)} ")
    assert "  --quiet  " in shown and "  --json  " in shown
    assert VERBS[words].callback.__doc__.split()[0] in shown
    assert code_of(*words, "--no-such-option") == 2
    assert "No such option" in capsys.readouterr().err


@pytest.mark.parametrize("words, names", [
    ("guidelabel im", ["import"]),
    ("guidelabel export ", ["masks", "model", "voc-server"]),
    ("guidelabel predict --ma", ["--maps"]),
    ("guidelabel export masks guide --format ", ["coco", "cvat", "labelstudio", "yolo", "voc"]),
    ("guidelabel export masks guide --format c", ["coco", "cvat"]),
    ("guidelabel export model --format t", ["torchscript"]),
    ("guidelabel export voc-server --competition ", ["comp5", "comp6"]),
    ("guidelabel import masks --format l", ["labelstudio"]),
    ("guidelabel review --format ", ["labelstudio", "cvat"]),
    ("guidelabel review --split ", ["train", "val"]),
    ("guidelabel new here --tags-from f", ["folders"]),
    ("guidelabel fetch u", ["u2netp"]),
    ("guidelabel convert ", ["msra"]),
    ("guidelabel use voc_a", ["voc_animals"]),
    ("guidelabel run eval", ["evaluate_seed", "evaluate_saliency", "evaluate_guide",
                             "evaluate_segment", "evaluate_maps"]),
    ("guidelabel run saliency", ["saliency_net", "saliency_onnx", "saliency_folder",
                                 "saliency_classical", "saliency_oracle", "saliency_none",
                                 "saliency"]),
    ("guidelabel table T1", ["T1", "T10", "T11"]),
])  # fmt: skip
def test_the_shell_completes_commands_options_and_values(words, names, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("_GUIDELABEL_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    assert code_of() == 0 and capsys.readouterr().out.split() == names


def test_the_values_to_choose_from_are_those_that_the_code_takes():
    assert [*masks.FORMATS] == [*choices.EXPORTED]
    assert [*imported.READERS] == [*choices.IMPORTED]
    assert set(review.TOOLS) == {*choices.REVIEWED}
    assert set(model_files.FORMATS) == {*choices.MODELS}
    assert set(fetch.DATASETS) == {*choices.DATASETS}
    assert set(voc_server.COMPETITIONS) == {*choices.COMPETITIONS}
    assert set(readers.KINDS) == {*choices.TAGS}


def test_the_shell_completes_every_stage_and_table_of_the_project(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    chain, optional = (read_yaml(ROOT / file)["stages"] for file in ("dvc.yaml", graph.OPTIONAL))
    assert choices.stages("") == [*chain, *optional, "saliency"]
    assert choices.tables("") == [*read_yaml(LAYOUT.tables)]
    monkeypatch.chdir(tmp_path)
    assert choices.stages("") == choices.tables("") == []


@pytest.mark.parametrize("words, fits", [
    (("config",), lambda found: found["fuse"]["seed_threshold"] == 0.2),
    (("use", "voc_animals"), lambda found: found["changes"]["data.source"] == ["shapes", "voc"]),
], ids=["config", "use"])  # fmt: skip
def test_json_is_for_programs_and_quiet_leaves_out_what_went_well(copy, words, fits):
    assert fits(json.loads(copy.here("cli.py", *words, "--json").stdout))
    copy.here("cli.py", "use", "shapes")
    assert copy.here("cli.py", *words, "--quiet").stdout == ""


def test_quiet_doctor_names_what_is_wrong(copy):
    copy.change({"seed": {"weights": "no.pth"}})
    done = copy.here("cli.py", "doctor", "--quiet", check=False)
    assert done.returncode == 1 and {line[:4] for line in done.stdout.splitlines()} == {"FAIL"}


def test_config_prints_the_validated_params(copy):
    assert "seed_threshold: 0.2" in copy.here("cli.py", "config").stdout


def test_doctor_runs_every_check(copy):
    done = copy.here("cli.py", "doctor")
    assert done.returncode == 0, done.stdout
    assert [line.split()[1] for line in done.stdout.splitlines()] == [
        "python", "torch", "device", "CRF", "params", "data", "images", "masks", "backbone",
        "weights", "saliency", "maps", "brought", "locks",
    ]  # fmt: skip


def test_use_lays_a_preset_over_the_base_and_prints_what_changed(copy):
    base = (copy.root / "params.yaml").read_text()
    text = copy.here("cli.py", "use", "voc_animals").stdout
    assert "data.source: shapes -> voc" in text
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


@pytest.mark.parametrize("args, message", [
    (("use", "nothing"), "no preset 'nothing'; choose one of photos, shapes, "),
    (("run", "nothing"), "no stage 'nothing'; choose one of prepare, "),
    (("run", "-S", "seed.trainn.epochs=3"), "no such param; did you mean seed.train.epochs?"),
    (("run", "-S", "seed.options.wildcat.alhpa=1"), "did you mean seed.options.wildcat.alpha?"),
    (("run", "-S", "seed.train.epochs"), "has no valid value; add =VALUE"),
    (("run", "-S", "seed.maps.scales=[1"), "has no valid value; check brackets and quotes"),
    (("run", "-S", "seed.train.epochs=-1"), "params.yaml: seed.train.epochs: Input should be"),
    (("convert", "nothing", "f.txt"), "no converter for 'nothing'; there is msra"),
    (("fetch", "nothing"), "no data set 'nothing'; choose one of voc2012"),
    (("predict", "nowhere.jpg", "-o", "/tmp/out"), "no network was trained there; run `python"),
    (("scores",), "no scores yet"),
])  # fmt: skip
def test_bad_input_gives_one_line(copy, args, message):
    params = (copy.root / "params.yaml").read_text()
    done = copy.here("cli.py", *args, check=False)
    assert done.returncode == 1 and not done.stdout
    assert done.stderr.startswith("error: ") and message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert (copy.root / "params.yaml").read_text() == params


def test_a_misspelt_param_stops_before_anything_runs(copy):
    copy.change({"fuse": {"seed_treshold": 0.3}})
    done = copy.python("cli.py", "run", check=False)
    assert done.returncode == 1 and "did you mean seed_threshold?" in done.stderr
    assert not (copy.root / "data/raw").exists()


def test_doctor_says_how_to_fix_what_is_missing(copy):
    copy.change({
        "data": {"source": "voc", "root": "nowhere", "tags": "nowhere/Annotations"},
        "seed": {"weights": "no.pth"},
    })  # fmt: skip
    done = copy.here("cli.py", "doctor", check=False)
    assert done.returncode == 1
    assert "FAIL  data" in done.stdout and "cli.py fetch voc2012" in done.stdout
    assert "FAIL  weights" in done.stdout and "seed.weights" in done.stdout
    assert "FAIL  saliency" in done.stdout and "saliency.options.net.root" in done.stdout


def test_doctor_reports_a_bad_tag_and_run_stops_at_it(copy, folder_set, folder_params):
    copy.change({"data": folder_params["data"]})
    assert f"folder: {folder_set}, 4 images, 4 masks; cat 2, dog 2" in copy.here(
        "cli.py", "doctor", check=False
    ).stdout  # fmt: skip
    (folder_set / "tags.csv").write_text("id,tags\np0,cat bird\n")
    message = "tags.csv: tag 'bird' (line 2): not in data.classes"
    done = copy.here("cli.py", "doctor", check=False)
    assert done.returncode == 1 and f"FAIL  data     {folder_set}/{message}" in done.stdout
    done = copy.python("cli.py", "run", check=False)
    assert done.returncode == 1 and message in done.stderr and "Running" not in done.stdout


def test_a_missing_input_stops_before_anything_runs(copy):
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
IGNORES_CTRL_C = """
import signal, time
from pathlib import Path
signal.signal(signal.SIGINT, signal.SIG_IGN)
Path("started").touch()
time.sleep(60)
"""


@contextlib.contextmanager
def started(project, *args, background=False):
    """Start a command, and wait until its stage has made the file `started`.

    `background`: as after `&` in a script, the command and its children ignore Ctrl-C.
    """
    handler = signal.SIG_IGN if background else signal.default_int_handler
    before = signal.signal(signal.SIGINT, handler)
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
            yield run
        finally:
            with contextlib.suppress(ProcessLookupError):  # if it has ended
                os.killpg(run.pid, signal.SIGKILL)


def interrupted(project, *args, send=os.killpg, by=signal.SIGINT, background=False):
    """Stop a command by a signal, by default by Ctrl-C, which all its processes receive."""
    with started(project, *args, background=background) as run:
        time.sleep(0.5)  # until its process pool has started
        send(run.pid, by)
        out, err = run.communicate(timeout=20)
        wait_for(lambda: not [p for p in psutil.process_iter(["cwd"])
                              if p.info["cwd"] == str(project.root)])  # fmt: skip
    assert run.returncode == 130, out + err
    assert "Traceback" not in err, err
    assert out.splitlines()[-1].startswith("Stopped. All finished results are kept.")
    return out, err


def test_ctrl_c_during_a_stage_ends_with_one_line(copy, folder_params):
    copy.change({"data": folder_params["data"]})
    (copy.root / "stages/prepare.py").write_text(SLEEPS)
    _, err = interrupted(copy, "run", "prepare")
    # sh itself dies of Ctrl-C, even if its command handled it
    assert "exited with 130" in err or "exited with -2" in err
    assert not (copy.root / ".dvc/tmp/rwlock").read_text().strip("{}")  # dvc has finished, too


def test_a_killed_command_ends_all_that_it_started(copy, folder_params):
    copy.change({"data": folder_params["data"]})
    (copy.root / "stages/prepare.py").write_text(SLEEPS)
    interrupted(copy, "run", "prepare", send=os.kill, by=signal.SIGTERM)
    assert not (copy.root / ".dvc/tmp/rwlock").read_text().strip("{}")


def test_kill_ends_processes_that_ignore_ctrl_c(copy, folder_params):
    copy.change({"data": folder_params["data"]})
    (copy.root / "stages/prepare.py").write_text(SLEEPS)
    interrupted(copy, "run", "prepare", send=os.kill, by=signal.SIGTERM, background=True)


def test_kill_9_of_the_command_alone_ends_all_that_it_started(copy, folder_params):
    copy.change({"data": folder_params["data"]})
    (copy.root / "stages/prepare.py").write_text(SLEEPS)
    with started(copy, "run", "prepare") as run:
        time.sleep(0.5)  # until its process pool has started
        run.kill()
        run.wait()
        wait_for(lambda: not [p for p in psutil.process_iter(["cwd"])
                              if p.info["cwd"] == str(copy.root)])  # fmt: skip


def test_a_second_run_in_the_same_folder_stops_with_one_line(copy, folder_params):
    copy.change({"data": folder_params["data"]})
    (copy.root / "stages/prepare.py").write_text(SLEEPS)
    with started(copy, "run", "prepare"):
        done = copy.here("cli.py", "run", "prepare", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {dvc_process.BUSY}\n"


def test_ctrl_c_stops_a_table_at_its_present_cell(copy):
    (copy.root / "dvc.py").write_text(IGNORES_CTRL_C)
    out, _ = interrupted(copy, "table", "T1", "--row", "gap", "--seed", "0")
    assert "##" not in out


@pytest.mark.parametrize("dvc_error, message", [
    ("ERROR: 'data/x' is busy, it is being blocked by:\\n  (PID 1): dvc", dvc_process.BUSY),
    ("ERROR: Unable to acquire lock. Most likely another DVC process", dvc_process.BUSY),
    ("ERROR: 'dvc.lock' is invalid.", "'dvc.lock' is invalid"),
])  # fmt: skip
def test_status_tells_a_running_chain_from_a_broken_file(copy, dvc_error, message):
    (copy.root / "dvc.py").write_text(f'import sys\nsys.exit("{dvc_error}")\n')
    done = copy.python("cli.py", "status", check=False)
    assert done.returncode == 1 and message in done.stderr
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


def test_lines_of_dvc_come_at_once_and_without_its_hints(copy):
    (copy.root / "dvc.py").write_text(HINTS)
    with subprocess.Popen([sys.executable, "cli.py", "run", "fuse"], cwd=copy.root, text=True,
                          stdout=subprocess.PIPE) as run:  # fmt: skip
        first = run.stdout.readline()  # dvc waits for `go`
        (copy.root / "go").touch()
        rest, _ = run.communicate(timeout=20)
    assert (first, rest) == ("Running stage 'fuse':\n", "\nRan experiment(s): one\n")
    assert run.returncode == 0
