"""The whole chain in a copy of the project, run by dvc as a user runs it."""

import hashlib
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from app.dvc_process import BUSY
from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.core.locks import is_valid
from pipeline.core.params import read_yaml
from pipeline.core.samples import read_samples
from tests.project import CHAIN, ONE_WORKER, TINY


def test_bare_repro_runs_the_chosen_chain_and_nothing_else(finished):
    assert sorted(finished.first_run) == sorted(CHAIN)


def test_a_second_run_runs_nothing_and_git_is_clean(project):
    assert project.repro() == []
    assert project.repro("evaluate_seed") == []
    changed = project.run("git", "status", "--short").stdout.split()
    assert [word for word in changed if len(word) > 2] in ([], ["dvc.lock", "optional/dvc.lock"])


def test_every_link_has_a_score_and_records_what_it_ran_on(finished):
    scores = finished.scores()
    for link in ("classifier", "maps", "localisation", "seeds", "saliency", "fused", "guide"):
        assert set(scores[link]) == {"train", "val"}
    for link in ("segmenter_guide", "refined_guide"):
        val = scores[link]["val"]
        assert 0 <= val["mIoU_low"] <= val["mIoU"] <= val["mIoU_high"] <= 100
        assert set(val) > {"boundary_IoU", "fwIoU", "pixel_accuracy"}
    assert scores["about"]["saliency"] == "net" and "FS%" not in scores["refined_guide"]["val"]
    run_on = scores["about"]["run_on"]
    assert set(run_on) == {"classifier", "segmenter_guide"}
    assert set(run_on["classifier"]) == {"device", "precision", "torch"}


def test_guide_labels_hold_only_tags_and_background(finished):
    layout = Layout(finished.root)
    classes = formats.read_json(layout.classes)
    for s in read_samples(layout.samples):
        labels = set(np.unique(formats.read_label(layout.labels("guide") / f"{s.id}.png")))
        assert labels <= {0} | {classes.index(t) + 1 for t in s.tags}


def test_the_report_needs_no_server(finished):
    folder = finished.root / "data/report"
    html = (folder / "index.html").read_text()
    assert len(list((folder / "panels").iterdir())) == 3
    for name in ("photos", "layers", "thumbs"):
        assert {f'["{p.stem}", ' in html for p in (folder / name).iterdir()} == {True}
    assert "http" not in html.replace("http-equiv", "")


def test_dvc_shows_metrics_and_plots(project):
    shown = project.python("-m", "dvc", "metrics", "show").stdout
    assert "refined" in shown and max(map(len, shown.splitlines())) <= 100
    (project.root / "data/metrics.json").write_text('{"split": "val", "mAP": 1.0}')
    changed = project.python("-m", "dvc", "metrics", "diff").stdout
    assert "mAP" in changed and max(map(len, changed.splitlines())) <= 100
    project.python("-m", "dvc", "plots", "show", "-o", "plots_out")
    assert (project.root / "plots_out/index.html").exists()


def test_status_and_run_print_states_and_scores(project):
    status = project.python("cli.py", "status").stdout
    assert status.count("up to date") == len(CHAIN) and "segmenter + CRF" in status
    line = next(s for s in status.splitlines() if s.strip().startswith("evaluate_seed"))
    assert " s" in line and "MiB" in line
    scores = project.python("cli.py", "run", "evaluate_saliency").stdout
    assert "saliency, at half its maximum" in scores


@pytest.mark.parametrize("lock, share", [
    ("dvc.lock", 0), ("optional/dvc.lock", 0.3),
    pytest.param("dvc.lock", 0.999, marks=pytest.mark.slow),
])  # fmt: skip
def test_a_lock_that_was_cut_off_is_restored_and_nothing_is_computed_again(project, lock, share):
    path = project.root / lock
    content, stages = path.read_bytes(), read_yaml(path)
    path.write_bytes(content[: int(share * len(content))])
    damaged = not is_valid(path)  # else DVC accepts what is left of it
    status = project.here("cli.py", "status", check=False)
    assert status.returncode == damaged
    if damaged:
        assert status.stderr.startswith(f"error: {lock}: is damaged")
        assert len(status.stderr.splitlines()) == 1
    done = project.python("cli.py", "run", **ONE_WORKER)
    assert done.stdout.count(f"{lock} was damaged") == damaged
    if damaged:  # else the stage at the cut is missing, and runs again, or its size is cut off
        assert "Running stage" not in done.stdout
        assert read_yaml(path) == stages  # their order may differ
    assert project.repro() == []


@pytest.mark.slow
def test_a_damaged_file_in_the_cache_is_computed_again(project):
    """DVC would restore it as it is: it trusts the files of its cache."""
    folder = project.root / "data/refined/guide"
    whole = formats.digest(folder)
    name = hashlib.md5(next(folder.iterdir()).read_bytes()).hexdigest()
    cached = project.root / f".dvc/cache/files/md5/{name[:2]}/{name[2:]}"
    content = cached.read_bytes()
    cached.unlink()  # copies of the project share it
    cached.write_bytes(content[:100])
    cached.chmod(0o444)
    shutil.rmtree(folder)
    done = project.python("cli.py", "run", "refine", **ONE_WORKER)
    assert "Running stage" in done.stdout and formats.digest(folder) == whole


@pytest.mark.slow
def test_a_clock_that_was_set_back_reruns_nothing(project):
    """All files are then from the future."""
    tomorrow = time.time() + 86_400
    for path in project.root.rglob("*"):
        if path.is_file() and ".git" not in path.parts:
            os.utime(path, (tomorrow, tomorrow))
    assert project.repro() == []


def test_a_param_of_fuse_reruns_fuse_and_the_stages_after_it(project):
    """Of the stages after the segmenter's training, the contracts know which one follows."""
    project.change({"fuse": {"saliency_threshold": 0.95}})
    assert "must run" in project.python("cli.py", "status").stdout
    last = ("evaluate_saliency", "evaluate_guide", "train_segment")
    assert sorted(project.repro(*last)) == sorted(
        ["fuse", "diffuse", "evaluate_saliency", "evaluate_guide", "train_segment@guide"]
    )
    project.change({"fuse": {"saliency_threshold": 0.5}})
    assert project.repro() == []  # everything comes from the run cache
    assert project.python("cli.py", "status").stdout.count("up to date") == len(CHAIN)


def test_a_crf_param_reruns_the_stages_from_refine_on(project):
    """A later stage may be skipped, if the changed stage makes the same bytes again."""
    project.change({"refine": {"crf": "seed"}})
    ran = project.repro()
    assert ran[0] == "refine@guide"
    assert set(ran) <= {"refine@guide", "evaluate_segment", "report"}


def test_an_edited_pooling_reruns_the_classifier_and_its_maps(project):
    """Later stages do not run, because their inputs came out the same."""
    with (project.root / "pipeline/seeds/pooling.py").open("a") as f:
        f.write("# an edit\n")
    assert project.repro() == ["train_seed", "seed"]


def test_an_edited_page_reruns_the_report(project):
    with (project.root / "pipeline/report/templates/report.html").open("a") as f:
        f.write("<!-- an edit -->\n")
    assert project.repro() == ["report"]


def test_options_of_another_choice_rerun_nothing(project):
    project.change({"saliency": {"options": {"classical": {"superpixels": 99}}}})
    assert project.repro() == []


def test_another_saliency_source_runs_its_own_stage(project):
    """Slow tests below run the stages of `classical` and `oracle`."""
    shutil.copytree(project.root / "data/saliency/net", project.root / "data/raw/saliency")
    project.change({"saliency": {"source": "folder"}})
    assert project.repro("fuse") == ["optional/dvc.yaml:saliency_folder", "fuse"]


def test_g1_is_another_edge(project):
    project.change({"fuse": {"rule": "g1", "evidence": "component_scores"}})
    assert project.repro("fuse") == ["optional/dvc.yaml:component_scores", "fuse"]
    project.change({"fuse": {"rule": "g2", "evidence": "maps"}})
    assert project.repro("fuse") == []  # from the run cache


@pytest.mark.slow
def test_a_pretext_task_is_another_edge_of_both_trainings(project):
    used = {"weights": "pretext"}
    project.change({"pretext": {"task": "rotation"}, "seed": used, "segment": used})
    assert project.repro("train_seed") == ["optional/dvc.yaml:pretext@rotation", "train_seed"]
    assert project.repro("-s", "train_segment") == ["train_segment@guide"]  # on the old labels
    project.change({"pretext": {"options": {"simclr": {"outputs": 64}}}})  # of the other task
    assert project.repro("train_seed") == []
    status = project.python("cli.py", "status").stdout
    assert "pretext@rot" in status and "pretext@sim" not in status  # cut at 80 columns
    project.change({"seed": {"weights": "imagenet"}, "segment": {"weights": "imagenet"}})
    project.change({"pretext": {"task": "none"}})
    assert project.repro("train_segment") == []  # from the run cache


@pytest.mark.slow
def test_full_masks_and_a_second_round_add_their_segmenters_and_scores(project):
    project.change({"segment": {"supervision": ["guide", "full", "round2"]}})
    assert sorted(project.repro()) == sorted([
        "optional/dvc.yaml:relabel_round@round2", "score_labels@guide", "evaluate_segment",
        "report",
        *(f"{stage}@{name}" for name in ("full", "round2")
          for stage in ("train_segment", "predict", "refine", "score_labels")),
    ])  # fmt: skip
    scores = project.scores()
    for stage in ("segmenter", "refined"):
        guide, full = (scores[f"{stage}_{name}"]["val"] for name in ("guide", "full"))
        rounding = 1.1 / full["mIoU"]  # the mIoU in the file have two decimals
        assert guide["FS%"] == pytest.approx(100 * guide["mIoU"] / full["mIoU"], abs=rounding)
        assert full["mIoU_minus_guide"] == pytest.approx(full["mIoU"] - guide["mIoU"], abs=0.011)
    assert {"segmenter_round2", "refined_round2"} <= set(scores)
    status = project.python("cli.py", "status").stdout
    assert status.count("up to date") == len(CHAIN) + 9 and "relabel_round@round2" in status
    assert "segmenter + CRF, round 2" in status
    layout = Layout(project.root)
    classes = formats.read_json(layout.classes)
    train = [s for s in read_samples(layout.samples) if s.split == "train"]
    assert len(list(layout.labels("round2").iterdir())) == len(train)
    for s in train:
        labels = set(np.unique(formats.read_label(layout.labels("round2") / f"{s.id}.png")))
        assert labels <= {0} | {classes.index(t) + 1 for t in s.tags}
    assert project.repro() == []


@pytest.mark.slow
def test_oracle_and_seed_supervision_by_sec_without_guide_labels(project):
    project.change({"segment": {"supervision": ["seed", "oracle"], "loss": "sec", "head": "v3"}})
    assert set(project.repro("train_segment")) == {
        "optional/dvc.yaml:relabel_seed", "optional/dvc.yaml:relabel_oracle",
        "optional/dvc.yaml:saliency_oracle", "train_segment@seed", "train_segment@oracle",
    }  # fmt: skip


def test_set_param_makes_an_experiment(project):
    stdout = project.python("cli.py", "run", "fuse", "-S", "fuse.min_seed_area_px=9").stdout
    assert "Ran experiment" in stdout or "Reproduced experiment" in stdout
    assert "min_seed_area_px: 9" in (project.root / "params.yaml").read_text()


@pytest.mark.slow
def test_a_folder_without_masks_gives_the_scores_that_need_only_tags(finished, copy):
    photos = copy.root / "data/raw/mine"
    (photos / "images").mkdir(parents=True)
    shapes = finished.root / "data/raw/shapes"
    rows = formats.read_table(shapes / "tags.csv", columns=("id", "tags"))[:12]
    for row in rows:
        shutil.copy2(shapes / f"images/{row['id']}.jpg", photos / "images")
    formats.write_table(photos / "tags.csv", [(r["id"], r["tags"]) for r in rows],
                        columns=("id", "tags"))  # fmt: skip
    copy.change(TINY)
    copy.change({
        "data": {"source": "folder", "root": "data/raw/mine", "tags": "data/raw/mine/tags.csv",
                 "classes": []},
        "saliency": {"source": "classical"},
        "segment": {"predict": {"splits": ["train", "val"]}},
    })  # fmt: skip
    done = copy.python("cli.py", "run")
    assert "is empty" not in done.stderr
    advice = "note: too few training steps to learn much; raise seed.train.epochs to "
    assert done.stdout.startswith(advice)
    table = done.stdout.split("classifier")[1]
    assert "tags that have a pixel" in table and "mIoU" not in table and "95 %" not in table
    scores = copy.scores()
    assert set(scores) == {"classifier", "guide", "refined_guide", "chance", "about"}
    assert scores["guide"]["train"]["untagged"] == 0 and scores["about"]["images_scored"] == 0
    assert len(list((copy.root / "data/refined/guide").iterdir())) == 12
    assert "No image has a mask" in (copy.root / "data/report/index.html").read_text()


@pytest.mark.slow
def test_a_running_chain_survives_a_second_run_and_status(project):
    # The training must outlast both: dvc fails if another process holds its lock as a stage ends.
    project.change({"seed": {"train": {"epochs": 40}}})
    first = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", "-fs", "train_seed"], cwd=project.root,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=project.env(),
    )  # fmt: skip
    while "train_seed: " not in (line := first.stdout.readline()):
        assert line, "the first run ended before its training began"
    second = project.python("cli.py", "run", "train_seed", check=False)
    status = project.python("cli.py", "status", check=False)
    output = first.communicate()[0]
    assert (second.returncode, second.stderr) == (1, f"error: {BUSY}\n")
    assert status.returncode == 0 or status.stderr == f"error: {BUSY}\n"
    assert first.returncode == 0, output
