"""How a stage starts: its imports, its memory, its resume folder, and its errors."""

import errno
import shutil
import subprocess
import sys

import pytest

from pipeline.core import formats, locks
from pipeline.core.layout import Layout
from pipeline.nets import weights  # noqa: F401 - imported later, it would keep the patch below
from pipeline.training import state
from stages import _resume

LOADS_NO_TORCH = """
import runpy, sys
sys.argv = ["stages", *sys.argv[1:]]
runpy.run_module("stages", run_name="__main__", alter_sys=True)
sys.exit("torch" in sys.modules)
"""


@pytest.mark.parametrize("stage", ["fuse", "diffuse", "refine guide"])
def test_a_stage_without_a_network_does_not_load_torch(project, stage):
    """Torch takes seconds and half a gigabyte in every process."""
    project.python("-c", LOADS_NO_TORCH, *stage.split())


def test_the_memory_of_the_parent_process_is_not_counted():
    ballast = bytes(range(256)) * 2**22  # 1 GiB, touched
    code = "from stages import _run; print(_run._peak_kib())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) * 1024 < len(ballast) / 4


def test_an_edit_in_any_package_makes_a_new_resume_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["stages", "fuse"])
    code = [tmp_path / "pipeline/scores/seed/localise.py", tmp_path / "stages/fuse.py"]

    def folder():
        return _resume.folder(Layout(), weights=None, inputs=[], params_key="").name

    for path in code:
        path.parent.mkdir(parents=True)
        path.write_text("A = 1")
    names = [folder(), folder()]
    for path in code:
        path.write_text("A = 2")
        names.append(folder())
    assert names[0] == names[1] and len(set(names)) == 3
    assert all(name.startswith("fuse-") for name in names)


@pytest.mark.parametrize("stage, message", [
    (("fuse",), "data/prepared/samples.csv: not found; run `python cli.py run prepare` first"),
    (("predict", "full"), "data/prepared/samples.csv: not found; run `python cli.py run prepare`"),
    (("fuze",), "no such stage; choose one of component_scores, "),
    ((), "no stage is named; choose one of component_scores, "),
    (("relabel", "guide"), "no variant 'guide'; choose one of oracle, seed"),
    (("predict", "guided"), "no variant 'guided'; choose one of guide, full"),
    (("saliency",), "no variant is named; choose one of onnx, "),
    (("fuse", "guide"), "this stage has no variants; leave out 'guide'"),
])  # fmt: skip
def test_a_stage_that_cannot_start_says_what_to_type(copy, stage, message):
    done = copy.here("-m", "stages", *stage, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {'_'.join(stage) or 'stages'}: {message}")


EARLIER = {
    "seed": "train_seed",
    "saliency_net": "train_saliency",
    "fuse": "seed",
    "diffuse": "fuse",
    "train_segment guide": "diffuse",
    "train_segment oracle": "relabel_oracle",
    "train_segment round2": "relabel_round@round2",
    "train_segment box": "relabel_boxes@box",
    "train_segment grabcut_plus_round3": "relabel_boxes_round@grabcut_plus_round3",
    "train_segment brought": "relabel_brought",
    "train_segment corrected": "relabel_corrected",
    "relabel_brought corrected": "diffuse",
    "predict guide": "train_segment",
    "refine guide": "predict",
    "relabel oracle": "seed",
    "relabel seed": "seed",
    "relabel_round round2": "diffuse",
    "evaluate_seed": "seed",
    "evaluate_saliency": "saliency_net",
    "evaluate_guide": "fuse",
    "score_labels guide": "diffuse",
    "evaluate_segment": "predict",
    "report": "evaluate_seed",
}


def test_a_stage_run_too_early_names_the_earlier_stage(copy, folder_params):
    copy.change({"data": folder_params["data"]})
    copy.stages("prepare")
    for stage, earlier in EARLIER.items():
        done = copy.here("-m", "stages", *stage.split(), check=False)
        line = done.stderr.strip().splitlines()[-1]
        assert done.returncode == 1, stage
        assert line.startswith(f"error: {stage.replace(' ', '_')}: data/"), line
        assert line.endswith(f": not found; run `python cli.py run {earlier}` first"), line


def test_a_segmenter_that_was_not_chosen_names_the_param(copy, folder_params):
    copy.change({"data": folder_params["data"]})
    copy.stages("prepare")
    done = copy.here("-m", "stages", "predict", "full", check=False)
    assert done.stderr.strip().endswith(
        "data/models/segment/full: not found; add full to segment.supervision in "
        "params.yaml, then run `python cli.py run train_segment` first"
    )


def test_a_missing_folder_of_a_matrix_names_its_stage(project):
    shutil.rmtree("data/models/segment/guide")
    done = project.here("-m", "stages", "predict", "guide", check=False)
    assert "run `python cli.py run train_segment` first" in done.stderr
    shutil.rmtree("data/maps")
    done = project.here("-m", "stages", "fuse", check=False)
    assert "run `python cli.py run seed` first" in done.stderr


FAULTY = {
    "fuse": (formats, "write_label"),  # a file for each image, made in processes
    "refine guide": (formats, "write_label"),
    "predict guide": (formats, "write_label"),  # a file for each image, made by a network
    "train_segment guide": (state.Run, "save"),  # a training
    "prepare": (formats, "replace_file"),
    "evaluate_guide": (formats, "replace_file"),
    "report": (formats, "write_image"),
}


FULL = OSError(errno.ENOSPC, "No space left on device"), "the disk is full (No space left on"
NO_MEMORY = MemoryError(), "memory ran out"


@pytest.mark.parametrize("stage, error, message", [
    *((stage, *fault) for stage in ("fuse", "prepare") for fault in (FULL, NO_MEMORY)),
    *(pytest.param(stage, *NO_MEMORY, marks=pytest.mark.slow)
      for stage in ("predict guide", "evaluate_guide")),
    *(pytest.param(stage, *FULL, marks=pytest.mark.slow)
      for stage in ("refine guide", "train_segment guide", "report")),
])  # fmt: skip
def test_a_fault_in_any_kind_of_stage_is_one_line_and_the_next_run_goes_on(
    project, monkeypatch, stage, error, message
):
    def fails(*_, **__):
        raise error

    locks.keep(Layout())  # it writes files, too
    with monkeypatch.context() as patch:
        patch.setattr(*FAULTY[stage], fails)
        done = project.here("-m", "stages", *stage.split(), check=False)
    lines = [line for line in done.stderr.splitlines() if line.startswith(("error", "Traceback"))]
    assert done.returncode == 1 and len(lines) == 1, done.stderr
    assert lines[0].startswith(f"error: {stage.replace(' ', '_')}: {message}")
    project.stages(stage)
