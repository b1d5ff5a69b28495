"""The ranking of a finished run, and the tasks made from it."""

import json
from pathlib import Path

import numpy as np
import pytest

from app import review
from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.params import load_params
from tests.stages.test_evaluate import write_links


@pytest.fixture
def run(copy, folder_params, monkeypatch):
    """Four images on which all links agree, but for the label of p3 before the CRF."""
    copy.change({"data": folder_params["data"]})
    copy.stages("prepare")
    write_links(Layout(copy.root))
    monkeypatch.chdir(copy.root)
    monkeypatch.setenv("GUIDELABEL_WORKERS", "1")
    return copy


def ranked(**kw):
    return review.rank(Layout(), load_params(Layout().params), **kw)


def change(path, value):
    label = formats.read_label(path)
    label[:] = value
    formats.write_label(path, label)


def test_the_image_whose_links_disagree_comes_first_with_its_reason(run):
    change(Layout().labels("guide") / "p1.png", 0)
    first, *others = ranked()
    assert first.sample.id == "p1" and first.measures["saliency_guide"] == 1
    assert first.reason == "the guide label covers another area than the saliency"
    assert all(r.measures["saliency_guide"] == 0 for r in others)


def test_the_segmenters_label_and_entropy_count_where_there_are_any(run):
    layout = Layout()
    change(layout.refined("guide") / "p3.png", 1)
    formats.write_logits(layout.logits("guide") / "p3.npz", np.zeros((3, 4, 4), np.float32))
    by_id = {r.sample.id: r.measures for r in ranked()}
    assert by_id["p3"]["entropy"] == 1 and by_id["p3"]["guide_prediction"] > 0.5
    assert set(by_id["p0"]) == {"seed_saliency", "saliency_guide"}


def test_saliency_counts_from_the_threshold_of_fuse(run):
    saliency = formats.read_grey(Layout().saliency("net") / "p0.png")
    formats.write_grey(Layout().saliency("net") / "p0.png", np.maximum(saliency, 0.4))
    assert {r.measures["seed_saliency"] for r in ranked()} == {0}
    run.change({"fuse": {"saliency_threshold": 0.3}})
    assert max(r.measures["seed_saliency"] for r in ranked()) > 0.5


def test_one_split_alone(run):
    assert [r.sample.id for r in ranked(split="val")] == ["p3"]
    with pytest.raises(UserError, match="no image of split 'test'; choose train or val"):
        ranked(split="test")


def test_the_table_and_json_hold_all_images_and_empty_measures(run, tmp_path):
    for suffix in ("csv", "json"):
        said = run.here("cli.py", "review", "-o", str(tmp_path / f"r.{suffix}")).stdout
        assert said == f"4 images in {tmp_path / f'r.{suffix}'}\n"
    rows = formats.read_table(tmp_path / "r.csv", columns=review.COLUMNS)
    assert [r["rank"] for r in rows] == ["1", "2", "3", "4"]
    assert json.loads((tmp_path / "r.json").read_text())[0]["id"] == rows[0]["id"]
    assert {r["entropy"] for r in rows} == {""}


def test_the_terminal_shows_the_first_images_and_how_to_use_more(run):
    change(Layout().labels("guide") / "p1.png", 0)
    said = run.here("cli.py", "review", "--top", "1").stdout
    assert "p1" in said and "p2" not in said and "segment.predict.splits=[train,val]" in said


def test_tasks_hold_the_images_that_are_first_in_their_order(run, tmp_path):
    change(Layout().labels("guide") / "p2.png", 0)
    run.here("cli.py", "review", "--top", "2", "--format", "labelstudio", "-o", str(tmp_path / "t"))
    tasks = json.loads((tmp_path / "t/tasks.json").read_text())
    assert len(tasks) == 2 and tasks[0]["data"]["image"].endswith("p2.png")
    assert run.here("cli.py", "review", "--format", "cvat", check=False).returncode == 2


def test_a_wrong_output_is_refused_before_the_images_are_ranked(run, monkeypatch, tmp_path):
    monkeypatch.setattr(review, "rank", lambda *_, **__: pytest.fail("ranked first"))
    for more, message in (
        (("--format", "yolo", "-o", "tasks"), "no format 'yolo'; choose labelstudio or cvat"),
        (("-o", "r.txt"), "r.txt: end the name with .csv or .json, or give --format"),
    ):
        done = run.here("cli.py", "review", *more, check=False)
        assert done.returncode == 1 and message in done.stderr


def test_before_a_run_the_error_says_what_to_do(copy, folder_params, monkeypatch):
    copy.change({"data": folder_params["data"]})
    copy.stages("prepare")
    done = copy.here("cli.py", "review", check=False)
    assert done.returncode == 1 and "holds no guide labels; run `python cli.py run`" in done.stderr


def test_images_that_a_person_has_corrected_are_left_out(run):
    ids = [r.sample.id for r in ranked()]
    formats.write_label(Path(f"data/corrections/{ids[0]}.png"), np.zeros((4, 4), np.uint8))
    assert ids[0] not in [r.sample.id for r in ranked()] and len(ranked()) == len(ids) - 1
    for key in ids:
        formats.write_label(Path(f"data/corrections/{key}.png"), np.zeros((4, 4), np.uint8))
    with pytest.raises(UserError, match="every image has a mask in data/corrections"):
        ranked()
