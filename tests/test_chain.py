"""The whole chain in a folder of its own, run by dvc as a user runs it."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from pipeline import apply, formats
from pipeline.layout import Layout
from tests.conftest import TINY, Project, scores_of

CHAIN = [
    "sources/dvc.yaml:generate", "prepare", "train_seed", "seed", "sources/dvc.yaml:train_saliency",
    "sources/dvc.yaml:saliency_net", "fuse", "diffuse", "train_segment@guide", "predict@guide",
    "refine@guide", "evaluate_seed", "evaluate_saliency", "evaluate_guide", "evaluate_segment",
    "report",
]  # fmt: skip


def test_bare_repro_runs_the_chosen_chain_and_nothing_else(built):
    assert sorted(built.first_run) == sorted(CHAIN)


def test_a_second_run_runs_nothing_and_git_is_clean(built):
    assert built.repro() == []
    assert built.repro("evaluate_seed") == []
    said = built.run("git", "status", "--short").stdout.split()
    assert [w for w in said if len(w) > 2] in ([], ["dvc.lock", "sources/dvc.lock"])


def test_every_link_has_a_score_and_says_what_it_ran_on(built):
    scores = scores_of(built)
    for link in ("classifier", "maps", "localisation", "seeds", "saliency", "fused", "guide"):
        assert set(scores[link]) == {"train", "val"}
    for link in ("segmenter_guide", "refined_guide"):
        val = scores[link]["val"]
        assert 0 <= val["mIoU_low"] <= val["mIoU"] <= val["mIoU_high"] <= 100
        assert set(val) > {"boundary_IoU", "fwIoU", "pixel_accuracy"}
    assert scores["about"]["saliency"] == "net" and "FS%" not in scores
    run_on = scores["about"]["run_on"]
    assert set(run_on) == {"classifier", "segmenter_guide"}
    assert set(run_on["classifier"]) == {"device", "precision", "torch"}


def test_guides_hold_only_tags_and_background(built):
    here = Layout(built.root)
    classes = formats.read_json(here.classes)
    for s in formats.read_samples(here.samples):
        found = set(np.unique(formats.read_label(here.labels("guide") / f"{s.id}.png")))
        assert found <= {0} | {classes.index(t) + 1 for t in s.tags}


def test_report_opens_from_disk(built):
    folder = built.root / "data/report"
    html = (folder / "index.html").read_text()
    pictures = [p.relative_to(folder).as_posix() for p in folder.rglob("*.jpg")]
    assert len(pictures) == 3 and all(f'src="{p}"' in html for p in pictures)
    assert "http" not in html.replace("http-equiv", "")


def test_metrics_and_plots_show(built):
    said = built.python("-m", "dvc", "metrics", "show").stdout
    assert "refined_guide.val.mIoU" in said
    built.python("-m", "dvc", "plots", "show", "-o", "plots_out")
    assert (built.root / "plots_out/index.html").exists()


def test_status_and_scores_read_well(built):
    said = built.python("cli.py", "status").stdout
    assert said.count("up to date") == len(CHAIN) and "segmenter + CRF" in said
    line = next(s for s in said.splitlines() if s.strip().startswith("evaluate_seed"))
    assert " s" in line and "MiB" in line
    said = built.python("cli.py", "run", "evaluate_saliency").stdout
    assert "saliency, at half its maximum" in said


def test_a_fusion_param_reruns_fuse_and_what_follows(built):
    built.change({"fuse": {"saliency_threshold": 0.95}})
    try:
        said = built.python("cli.py", "status").stdout
        assert "must run" in said
        left_alone = ("evaluate_seed",)
        assert sorted(built.repro()) == sorted(s for s in CHAIN[6:] if s not in left_alone)
    finally:
        built.change({"fuse": {"saliency_threshold": 0.5}})
    built.repro()  # from the run cache
    assert built.repro() == []


def test_crf_params_rerun_from_diffuse_or_refine_on(built):
    """What follows may be spared where the changed stage makes the same bytes again."""
    built.change({"refine": {"crf": "seed"}})
    try:
        ran = built.repro()
        assert ran[0] == "refine@guide"
        assert set(ran) <= {"refine@guide", "evaluate_segment", "report"}
        built.change({"refine": {"crf": "deeplab"}, "diffuse": {"blur_sigma_px": 1}})
        ran = built.repro()
        assert ran[0] == "diffuse"
        assert set(ran) <= set(CHAIN[7:]) - {"evaluate_seed", "evaluate_saliency"}
    finally:
        built.change({"refine": {"crf": "deeplab"}, "diffuse": {"blur_sigma_px": 10}})
    built.repro()


def test_only_the_chosen_options_count(built):
    built.change({"saliency": {"options": {"classical": {"superpixels": 99}}}})
    assert built.repro() == []


@pytest.mark.parametrize("source", ["classical", "oracle", "folder"])
def test_another_saliency_source_is_another_edge(built, source):
    if source == "folder":
        for path in (built.root / "data/saliency/net").iterdir():
            target = built.root / "data/raw/saliency" / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    built.change({"saliency": {"source": source}})
    try:
        ran = built.repro("fuse")
        assert ran in (
            [f"sources/dvc.yaml:saliency_{source}", "fuse"],
            [f"sources/dvc.yaml:saliency_{source}"],  # equal maps: fuse comes from the run cache
        )
    finally:
        built.change({"saliency": {"source": "net"}})
    built.repro()


def test_full_supervision_adds_the_bound_and_fs(built):
    built.change({"segment": {"supervision": ["guide", "full"]}})
    try:
        ran = built.repro()
        assert [s for s in ran if "@" in s] == [
            "train_segment@full", "predict@full", "refine@full",
        ]  # fmt: skip
        scores = scores_of(built)
        assert scores["FS%"] > 0 and "refined_full" in scores
    finally:
        built.change({"segment": {"supervision": ["guide"]}})
    built.repro()


@pytest.mark.slow
def test_a_second_round_pulls_in_its_labels_and_is_scored(built):
    built.change({"segment": {"supervision": ["guide", "round2"]}})
    try:
        ran = built.repro()
        assert ran == [
            "sources/dvc.yaml:relabel@round2", "train_segment@round2", "predict@round2",
            "refine@round2", "evaluate_segment", "report",
        ]  # fmt: skip
        assert {"segmenter_round2", "refined_round2"} <= set(scores_of(built))
        said = built.python("cli.py", "status").stdout
        assert said.count("up to date") == len(CHAIN) + 4 and "relabel@round2" in said
        assert "segmenter + CRF, round 2" in said
        here = Layout(built.root)
        classes = formats.read_json(here.classes)
        train = [s for s in formats.read_samples(here.samples) if s.split == "train"]
        assert len(list(here.labels("round2").iterdir())) == len(train)
        for s in train:
            found = set(np.unique(formats.read_label(here.labels("round2") / f"{s.id}.png")))
            assert found <= {0} | {classes.index(t) + 1 for t in s.tags}
        assert built.repro() == []
    finally:
        built.change({"segment": {"supervision": ["guide"]}})
    built.repro()


@pytest.mark.slow
def test_oracle_and_seed_supervision_without_the_guide_trained_by_sec(built):
    built.change({"segment": {"supervision": ["seed", "oracle"], "loss": "sec", "head": "v3"}})
    try:
        ran = built.repro()
        assert {s for s in ran if s.startswith("sources")} <= {
            "sources/dvc.yaml:relabel_seed", "sources/dvc.yaml:relabel_oracle",
            "sources/dvc.yaml:saliency_oracle",
        }  # fmt: skip
        assert {"train_segment@seed", "train_segment@oracle"} <= set(ran)
        assert not [s for s in ran if s.endswith("@guide")]
        assert {"refined_seed", "refined_oracle"} <= set(scores_of(built))
        said = built.python("cli.py", "status").stdout
        assert said.count("up to date") == len(CHAIN) + 3 + 3
        assert "segmenter + CRF, seed cues" in said
    finally:
        built.change({"segment": {"supervision": ["guide"], "loss": "cross_entropy",
                                  "head": "v3plus"}})  # fmt: skip
    built.repro()


def test_predict_writes_palette_png_and_overlay(built, tmp_path):
    photos = built.root / "data/raw/shapes/images"
    bad = tmp_path / "in/broken.jpg"
    bad.parent.mkdir()
    bad.write_bytes(b"no image")
    good = str(next(photos.iterdir()))
    out = tmp_path / "out"
    assert "1 images" in built.python("cli.py", "predict", good, "-o", str(out)).stdout
    done = built.python("cli.py", "predict", good, str(bad), "-o", str(out), check=False)
    assert done.returncode == 1 and "broken.jpg: cannot be decoded" in done.stdout
    label = next(out.glob("*.png"))
    assert (
        formats.read_label(label).shape
        == formats.read_image(photos / f"{label.stem}.jpg").shape[:2]
    )
    assert (out / f"{label.stem}_overlay.jpg").exists()


@pytest.fixture
def three(built, tmp_path):
    """A folder of three photographs."""
    folder = tmp_path / "in"
    folder.mkdir()
    for path in sorted((built.root / "data/raw/shapes/images").iterdir())[:3]:
        shutil.copy2(path, folder)
    return folder


def test_predict_goes_on_and_mixes_nothing(built, three, tmp_path):
    out, model = tmp_path / "out", tmp_path / "model"
    shutil.copytree(Layout(built.root).segmenter("guide"), model)
    first, second, third = sorted(three.iterdir())

    def predict(*more):
        before = {p.name: p.stat().st_mtime_ns for p in out.glob("*.png")}
        call = ("predict", str(three), "-o", str(out), "--model", str(model), *more)
        said = built.python("cli.py", *call).stdout
        after = {p.name: p.stat().st_mtime_ns for p in out.glob("*.png")}
        assert set(after) == {f"{p.stem}.png" for p in three.iterdir()}
        return sum(before.get(k) != after[k] for k in after), said

    assert predict()[0] == 3
    whole = {p.name: p.read_bytes() for p in out.iterdir()}
    (out / f"{second.stem}.png").unlink()  # as if stopped before it
    (out / f"{third.stem}_overlay.jpg").unlink()
    made, said = predict()
    assert made == 2 and "3 images" in said and "1 of them from before" in said
    assert whole == {p.name: p.read_bytes() for p in out.iterdir()}
    shutil.copy2(first, third)  # another photograph by the same name, older than the mask
    os.utime(third, (1, 1))
    assert predict()[0] == 1
    assert (out / f"{third.stem}.png").read_bytes() == whole[f"{first.stem}.png"]
    assert formats.read_json(out / apply.RECORD)["classes"][:2] == ["background", "disc"]

    def refused(*more):
        call = ("predict", str(three), "-o", str(out), "--model", str(model), *more)
        done = built.python("cli.py", *call, check=False)
        assert done.returncode == 1
        return done.stderr

    assert "made by another network or params" in refused("--no-crf")
    about = formats.read_json(model / "net.json")
    formats.write_json(model / "net.json", about | {"trained_on": "another machine"})
    assert "made by another network or params" in refused()
    (out / apply.RECORD).write_text("[]")
    assert f"{apply.RECORD}: damaged; remove it" in refused()


def test_predict_touches_no_file_it_did_not_make(built, three, tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    drawn = masks / f"{min(three.iterdir()).stem}.png"
    drawn.write_bytes(b"drawn by hand")
    (tmp_path / "links").mkdir()
    (tmp_path / "links/x.png").symlink_to(min(three.iterdir()))
    for photos, out in ((three, masks), (three, three), (tmp_path / "links",) * 2):
        before = {p: p.read_bytes() for p in out.iterdir()}
        done = built.python("cli.py", "predict", str(photos), "-o", str(out), check=False)
        assert done.returncode == 1 and "choose another folder" in done.stderr
        assert before == {p: p.read_bytes() for p in out.iterdir()}


def test_set_param_makes_an_experiment(built):
    said = built.python("cli.py", "run", "fuse", "-S", "fuse.min_seed_area_px=9").stdout
    assert "Ran experiment" in said or "Reproduced experiment" in said
    text = (built.root / "params.yaml").read_text()
    assert "min_seed_area_px: 9" in text
    built.change({"fuse": {"min_seed_area_px": 25}})
    built.repro()


@pytest.mark.slow
def test_two_runs_give_the_same_bytes(built, tmp_path_factory):
    made = ["labels/full", "labels/guide", "models/seed", "models/saliency", "models/segment/guide",
            "refined/guide"]  # fmt: skip
    other = Project(tmp_path_factory.mktemp("again"))
    other.change(TINY)
    other.commit()
    other.repro()
    first, second = (
        formats.digest(*(p.root / "data" / folder for folder in made)) for p in (built, other)
    )
    assert first == second


def test_folder_without_masks_runs_and_reports_what_it_can(tmp_path_factory, built):

    project = Project(tmp_path_factory.mktemp("folder"))
    photos = project.root / "data/raw/mine"
    (photos / "images").mkdir(parents=True)
    rows = formats.read_table(built.root / "data/raw/shapes/tags.csv", columns=("id", "tags"))[:12]
    for row in rows:
        name = f"images/{row['id']}.jpg"
        (photos / name).write_bytes((built.root / "data/raw/shapes" / name).read_bytes())
    formats.write_table(photos / "tags.csv", [(r["id"], r["tags"]) for r in rows],
                        columns=("id", "tags"))  # fmt: skip
    project.change(TINY)
    project.change({
        "data": {"source": "folder", "root": "data/raw/mine", "tags": "data/raw/mine/tags.csv",
                 "classes": []},
        "saliency": {"source": "classical"},
        "segment": {"predict": {"splits": ["train", "val"]}},
    })  # fmt: skip
    project.commit()
    done = project.python("cli.py", "run")
    assert "is empty" not in done.stderr
    assert done.stdout.startswith("note: few images for so few epochs; raise seed.train.epochs to ")
    said = done.stdout.split("classifier")[1]
    assert "tags that have a pixel" in said and "mIoU" not in said and "95 %" not in said
    found = scores_of(project)
    assert set(found) == {"classifier", "guide", "refined_guide", "about"}
    assert found["guide"]["train"]["untagged"] == 0 and found["about"]["images_scored"] == 0
    assert len(list((project.root / "data/refined/guide").iterdir())) == 12
    assert "random" in (project.root / "data/report/index.html").read_text().lower()


@pytest.mark.slow
def test_the_second_of_two_runs_in_one_folder_says_so_and_stops(built):
    first = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", "-f", "train_seed"], cwd=built.root,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    while "train_seed: " not in (line := first.stdout.readline()):
        assert line, "the first run ended before its training began"
    second = built.python("-m", "dvc", "repro", "-f", "train_seed", check=False)
    status = built.python("cli.py", "status", check=False)
    said = first.communicate()[0]
    assert second.returncode != 0
    assert status.returncode == 0 or status.stderr.startswith("error: another run is at work")
    assert "busy" in second.stderr or "lock" in second.stderr
    assert first.returncode == 0, said
