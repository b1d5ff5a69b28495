"""The command line: every command answers, and bad input is one line."""

import subprocess
import sys

import pytest

from pipeline import params
from tests.conftest import ROOT


def cli(*args, cwd=ROOT):
    return subprocess.run(
        [sys.executable, "cli.py", *args], check=False, cwd=cwd, capture_output=True, text=True
    )


def test_help_names_every_command():
    said = cli("--help").stdout
    for name in ("run", "use", "status", "scores", "config", "doctor", "fetch", "predict"):
        assert f" {name} " in said


def test_config_prints_the_validated_params(copy):
    assert "seed_threshold: 0.2" in copy.python("cli.py", "config").stdout


def test_doctor_examines_everything(copy):
    done = copy.python("cli.py", "doctor")
    assert done.returncode == 0, done.stdout
    assert [line.split()[1] for line in done.stdout.splitlines()] == [
        "python", "torch", "device", "CRF", "params", "data", "weights", "saliency",
    ]  # fmt: skip


@pytest.fixture
def copy(tmp_path):
    from tests.conftest import Project

    return Project(tmp_path)


def test_use_lays_a_preset_over_the_base_and_says_what_changed(copy):
    base = (copy.root / "params.yaml").read_text()
    said = copy.python("cli.py", "use", "voc_animals").stdout
    assert "data.source: shapes -> voc" in said
    values = params.read_yaml(copy.root / "params.yaml")
    assert (
        values["data"]["classes"][0] == "cat"
        and "# shapes | voc" in (copy.root / "params.yaml").read_text()
    )
    copy.python("cli.py", "use", "voc2012_paper")
    assert params.read_yaml(copy.root / "params.yaml")["seed"]["backbone"] == "vgg16"
    copy.python("cli.py", "use", "shapes")
    assert (copy.root / "params.yaml").read_text() == base


@pytest.mark.parametrize("args, said", [
    (("use", "nothing"), "no preset 'nothing'; there are "),
    (("run", "nothing"), "no stage 'nothing'; there are prepare, "),
    (("fetch", "nothing"), "no data set 'nothing'; there are voc2012"),
    (("predict", "nowhere.jpg", "-o", "/tmp/out"), "no trained network; run `python cli.py run`"),
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
    done = copy.python("cli.py", "doctor", check=False)
    assert done.returncode == 1
    assert "FAIL  data" in done.stdout and "cli.py fetch voc2012" in done.stdout
    assert "FAIL  weights" in done.stdout and "seed.weights" in done.stdout
    assert "FAIL  saliency" in done.stdout and "saliency.options.net.root" in done.stdout


def test_a_bad_tag_is_seen_by_doctor_and_before_anything_runs(copy, folder_set, folder_params):
    copy.change({"data": folder_params["data"]})
    assert f"folder: {folder_set}, 4 images, 2 classes" in copy.python(
        "cli.py", "doctor", check=False
    ).stdout  # fmt: skip
    (folder_set / "tags.csv").write_text("id,tags\np0,cat bird\n")
    said = "tags.csv: id 'p0': tag 'bird' is not in data.classes"
    done = copy.python("cli.py", "doctor", check=False)
    assert done.returncode == 1 and f"FAIL  data     {folder_set}/{said}" in done.stdout
    done = copy.python("cli.py", "run", check=False)
    assert done.returncode == 1 and said in done.stderr and "Running" not in done.stdout


def test_what_is_missing_is_said_before_anything_runs(copy):
    copy.change({"saliency": {"source": "onnx"}})
    done = copy.python("cli.py", "run", check=False)
    assert done.returncode == 1 and "correct saliency.options.onnx.file" in done.stderr
    assert not (copy.root / "data/raw").exists()
