"""The scoring stages on files made by hand: no network, each group alone."""

import json
import re

import numpy as np
import pytest

from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.core.samples import read_samples

STAGES = ("seed", "saliency", "guide", "segment")


@pytest.fixture
def project(copy, folder_params):
    """Four images of one square object each; every link right but for the prediction of p3."""
    copy.change({"data": folder_params["data"]})
    copy.stages("prepare")
    write_links(Layout(copy.root))
    return copy


def write_links(here):
    samples = read_samples(here.samples)
    for s in samples:
        label = formats.read_label(here.labels("full") / f"{s.id}.png")
        heat = (label > 0).astype(np.float32)[None]
        formats.write_maps(here.maps / f"{s.id}.npz", heat, label.max(keepdims=True)[0])
        formats.write_grey(here.saliency("net") / f"{s.id}.png", heat[0])
        for folder in (here.seeds, here.fused, here.labels("guide")):
            formats.write_label(folder / f"{s.id}.png", label)
        if s.split == "val":
            wrong = np.where(label > 0, 3 - label, 0).astype(np.uint8)
            formats.write_label(here.predictions("guide") / f"{s.id}.png", wrong)
            formats.write_label(here.refined("guide") / f"{s.id}.png", label)
    rows = [(s.id, float("cat" in s.tags), float("dog" in s.tags)) for s in samples]
    formats.write_table(here.tag_scores, rows, columns=("id", "cat", "dog"))
    for folder in (here.seed_model, here.segmenter("guide")):
        formats.write_json(folder / "net.json", {"trained_on": {"device": "cpu"}})


def evaluate(project, group):
    project.stages(f"evaluate_{group}")
    return json.loads((project.root / f"data/scores/{group}.json").read_text())


def test_seed(project):
    found = evaluate(project, "seed")
    assert found["classifier"] == {"train": {"mAP": 100.0}, "val": {"mAP": 100.0}}
    assert found["localisation"]["val"] == {
        "top1_error": 0.0, "top5_error": 0.0, "point_mAP": 100.0,
    }  # fmt: skip
    assert found["maps"]["val"] == {
        "best_mIoU": 100.0, "best_mIoU_low": 100.0, "best_mIoU_high": 100.0,
        "best_threshold": 0.01, "mP": 100.0,
    }  # fmt: skip
    assert found["about"] == {"images_scored": 4, "run_on": {"classifier": {"device": "cpu"}}}
    lines = (project.root / "data/scores/seed/per_class.tsv").read_text().splitlines()
    assert lines == [
        "split\tclass\tAP\tpoint_AP", "train\tcat\t100.00\t100.00", "train\tdog\t100.00\t100.00",
        "val\tcat\tnan\tnan", "val\tdog\t100.00\t100.00",
    ]  # fmt: skip
    assert len((project.root / "data/scores/seed/curve.tsv").read_text().splitlines()) == 101


def test_difficult_tags_reach_the_classifiers_score(project):
    here = Layout(project.root)
    rows = [("p0", 0.1, 0), ("p1", 0.2, 1), ("p2", 0.9, 0), ("p3", 0, 1)]
    formats.write_table(here.tag_scores, rows, columns=("id", "cat", "dog"))
    assert evaluate(project, "seed")["classifier"]["train"]["mAP"] < 100
    formats.write_table(here.difficult, [("p0", "cat")], columns=("id", "tags"))
    assert evaluate(project, "seed")["classifier"]["train"]["mAP"] == 100


def test_saliency(project):
    found = evaluate(project, "saliency")
    assert found["saliency"]["val"] == {
        "IoU": 100.0, "mean_IoU": 100.0, "max_F": 100.0, "MAE": 0.0, "S_measure": 100.0,
    }  # fmt: skip
    assert found["saliency_half"]["train"] == {"IoU": 100.0}
    assert found["about"]["saliency"] == "net"


def test_guide(project):
    found = evaluate(project, "guide")
    for link in ("seeds", "fused", "guide"):
        agrees = {"tags_found": 100.0, "untagged": 0.0} if link == "guide" else {}
        right = {"mIoU": 100.0, "mIoU_low": 100.0, "mIoU_high": 100.0}
        assert found[link]["train"] == right | agrees


def test_segment(project):
    found = evaluate(project, "segment")
    assert set(found) == {"segmenter_guide", "refined_guide", "about"}
    assert found["segmenter_guide"]["val"]["mIoU"] == 33.33  # background right, cat for dog
    assert found["refined_guide"]["val"]["boundary_IoU"] == 100.0
    table = (project.root / "data/scores/segment/images.csv").read_text()
    assert table == (
        "link,split,id,mIoU\nrefined_guide,val,p3,100.00\nsegmenter_guide,val,p3,33.33\n"
    )


@pytest.mark.parametrize("group", STAGES)
def test_one_worker_and_three_write_the_same_scores(project, group):
    folder = project.root / "data/scores"
    evaluate(project, group)
    first = formats.digest(folder)
    project.python("-m", "stages", f"evaluate_{group}", GUIDELABEL_WORKERS="3")
    assert formats.digest(folder) == first


def test_without_a_mask_the_tags_alone_score(project):
    (project.root / "data/prepared/truth.csv").write_text("id,mask\n")
    for group in STAGES:
        found = evaluate(project, group)
        links = {"seed": {"classifier"}, "guide": {"guide"}, "segment": {"refined_guide"}}
        assert set(found) == {"about"} | links.get(group, set())
        assert found["about"]["images_scored"] == 0
    said = project.here("cli.py", "scores").stdout
    assert "classifier" in said and "guide labels, tags that have a pixel" in said
    html, widths = report(project)
    assert "<h2>Random</h2>" in html and "No image has a mask, so there" in html
    for absent in ("IoU per class", "95 %", "Errors:", "<span>truth</span>", "<span>errors</span>"):
        assert absent not in html
    assert not re.search(r"<th[^>]*></th>|<table>\s*</table>", html)
    assert widths == {6 * 200 + 5 * 4}  # image to prediction, gaps between


def report(project):
    """The report's text, and the widths of its panels in px."""
    project.stages("report")
    folder = project.root / "data/report"
    widths = {formats.read_image(p).shape[1] for p in (folder / "panels").iterdir()}
    return (folder / "index.html").read_text(), widths


def test_with_masks_the_report_has_every_part(project):
    for group in STAGES:
        evaluate(project, group)
    html, widths = report(project)
    for part in ("Link by link", "IoU per class, segmenter + CRF", ">95 %</th>", "Errors:",
                 "<span>truth</span>", "<h2>Best</h2>", "on 4 images with masks"):  # fmt: skip
        assert part in html
    assert widths == {8 * 200 + 7 * 4}
    captions = re.findall(r"<figcaption>(p\d).*?predicted by the classifier: (.*?)<", html, re.S)
    assert dict(captions) == {"p3": "dog 1.00, cat 0.00"}  # the one image of val


def test_scores_of_one_group_print_alone(project):
    evaluate(project, "guide")
    said = project.here("cli.py", "scores").stdout
    assert "guide labels" in said and "classifier" not in said and "100.0-100.0" in said
    assert "saliency:" not in said
