"""The scoring stages and the report on files made by hand, without a network."""

import json
import math
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.core.samples import read_samples

STAGES = ("seed", "saliency", "guide", "segment")


@pytest.fixture
def project(copy, folder_params):
    """Four images with one square each. Every link is right, except for the prediction of p3."""
    copy.change({"data": folder_params["data"]})
    copy.stages("prepare")
    write_links(Layout(copy.root))
    return copy


def write_full(project):
    """A second supervision; its segmenter is right everywhere, before the CRF too."""
    project.change({"segment": {"supervision": ["guide", "full"]}})
    layout = Layout(project.root)
    formats.write_json(layout.segmenter("full") / "net.json", {"trained_on": {"device": "cpu"}})
    for folder in (layout.predictions("full"), layout.refined("full")):
        label = formats.read_label(layout.labels("full") / "p3.png")
        formats.write_label(folder / "p3.png", label)


def write_links(layout):
    samples = read_samples(layout.samples)
    for s in samples:
        label = formats.read_label(layout.labels("full") / f"{s.id}.png")
        heat = (label > 0).astype(np.float32)[None]
        formats.write_maps(layout.maps / f"{s.id}.npz", heat, label.max(keepdims=True)[0])
        formats.write_grey(layout.saliency("net") / f"{s.id}.png", heat[0])
        for folder in (layout.seeds, layout.fused, layout.labels("guide")):
            formats.write_label(folder / f"{s.id}.png", label)
        if s.split == "val":
            wrong = np.where(label > 0, 3 - label, 0).astype(np.uint8)
            formats.write_label(layout.predictions("guide") / f"{s.id}.png", wrong)
            formats.write_label(layout.refined("guide") / f"{s.id}.png", label)
    rows = [(s.id, float("cat" in s.tags), float("dog" in s.tags)) for s in samples]
    formats.write_table(layout.tag_scores, rows, columns=("id", "cat", "dog"))
    for folder in (layout.seed_model, layout.segmenter("guide")):
        formats.write_json(folder / "net.json", {"trained_on": {"device": "cpu"}})


def evaluate(project, group):
    project.stages(f"evaluate_{group}")
    return json.loads((project.root / f"data/scores/{group}.json").read_text())


def test_seed(project):
    found = evaluate(project, "seed")
    assert found["classifier"] == {
        "train": {"mAP": 100.0, "ECE": 0.0},
        "val": {"mAP": 100.0, "ECE": 0.0, "ECE_scaled": 0.0},
    }
    assert found["localisation"]["val"] == {
        "top1_error": 0.0, "top5_error": 0.0, "point_mAP": 100.0,
    }  # fmt: skip
    assert found["maps"]["val"] == {
        "best_mIoU": 100.0, "best_mIoU_low": 100.0, "best_mIoU_high": 100.0,
        "best_threshold": 0.01, "mP": 100.0,
    }  # fmt: skip
    assert found["about"] == {
        "images_scored": 4, "run_on": {"classifier": {"device": "cpu"}},
        "temperature": {"classifier": 0.05},  # the lower end: no answer is wrong
    }  # fmt: skip
    assert "no_class" not in found  # every image has a tag
    lines = (project.root / "data/scores/seed/per_class.tsv").read_text().splitlines()
    assert lines == [
        "split\tclass\tAP\tpoint_AP", "train\tcat\t100.00\t100.00", "train\tdog\t100.00\t100.00",
        "val\tcat\tnan\tnan", "val\tdog\t100.00\t100.00",
    ]  # fmt: skip
    assert len((project.root / "data/scores/seed/curve.tsv").read_text().splitlines()) == 101


def write_tag_scores(project, *rows):
    formats.write_table(Layout(project.root).tag_scores, rows, columns=("id", "cat", "dog"))


def test_the_classifiers_calibration_by_hand(project):
    """Of six answers on train, those at 0.9 are right twice in three, those at 0.1 once."""
    write_tag_scores(project, ("p0", 0.9, 0.1), ("p1", 0.1, 0.9), ("p2", 0.1, 0.9), ("p3", 0, 0.5))
    found = evaluate(project, "seed")
    assert found["classifier"]["train"]["ECE"] == 23.33  # (|2.7 - 2| + |0.3 - 1|) / 6
    assert found["classifier"]["val"]["ECE"] == 25.0
    table = (project.root / "data/scores/seed/reliability.tsv").read_text()
    assert table == "confidence\taccuracy\tcount\n0.00\t0.00\t1\n50.00\t100.00\t1\n"


def test_every_fifth_train_image_alone_fits_the_temperature(project):
    """p0 has two answers at 0.9, of which one is right. So the temperature is the highest one."""
    write_tag_scores(project, ("p0", 0.9, 0.9), ("p1", 0, 1), ("p2", 1, 0), ("p3", 0, 1))
    found = evaluate(project, "seed")
    assert found["about"]["temperature"]["classifier"] == 20
    least = 1 / (1 + (1 / 5e-6 - 1) ** (1 / 20))  # in place of 0, which has five decimals
    assert found["classifier"]["val"]["ECE_scaled"] == round(100 * least, 2)
    write_tag_scores(project, ("p0", 0.9, 0.1), ("p1", 1, 0), ("p2", 0, 1), ("p3", 0, 1))
    assert evaluate(project, "seed")["about"]["temperature"]["classifier"] == 0.05


def test_difficult_pairs_do_not_count_in_the_calibration(project):
    write_tag_scores(project, ("p0", 0.5, 0), ("p1", 0, 1), ("p2", 1, 0), ("p3", 0, 1))
    assert evaluate(project, "seed")["classifier"]["train"]["ECE"] == 8.33  # 0.5 of 6 answers
    formats.write_table(Layout(project.root).difficult, [("p0", "cat")], columns=("id", "tags"))
    assert evaluate(project, "seed")["classifier"]["train"]["ECE"] == 0


def test_images_without_a_class_of_the_list(project):
    """Of three train images the one without a tag has the second highest score."""
    here = Layout(project.root)
    lines = here.samples.read_text().replace("train,dog", "train,")
    here.samples.write_text(lines)
    write_tag_scores(project, ("p0", 0.2, 0.1), ("p1", 0.3, 0.4), ("p2", 0.1, 0.8), ("p3", 0, 1))
    assert evaluate(project, "seed")["no_class"] == {"train": {"AUROC": 50.0, "AP": 50.0}}


def write_logits(project, **of_a_class):
    """Logits of one value for the true class of each pixel, and 0 for the others."""
    here = Layout(project.root)
    for key, value in of_a_class.items():
        label = formats.read_label(here.labels("full") / f"{key}.png")
        logits = value * (np.arange(3)[:, None, None] == label)
        formats.write_logits(here.logits("guide") / f"{key}.npz", logits.astype(np.float32))


def test_the_segmenters_calibration_by_hand(project):
    """Each pixel of val is right with the confidence e / (e + 2)."""
    write_logits(project, p3=1)
    found = evaluate(project, "segment")
    chance = math.e / (math.e + 2)
    assert found["segmenter_guide"]["val"]["ECE"] == round(100 * (1 - chance), 2)
    assert "ECE_scaled" not in found["segmenter_guide"]["val"]
    assert found["about"]["temperature"] == {"segmenter_guide": None}  # train was not predicted
    table = (project.root / "data/scores/segment/reliability_guide.tsv").read_text()
    assert table == f"confidence\taccuracy\tcount\n{100 * chance:.2f}\t100.00\t1200\n"


def test_a_segmenter_that_predicted_train_gets_a_temperature(project):
    write_logits(project, p0=1, p1=-1, p3=1)
    found = evaluate(project, "segment")
    assert found["about"]["temperature"] == {"segmenter_guide": 0.05}  # p0 alone: all is right
    assert found["segmenter_guide"]["val"]["ECE_scaled"] == 0
    assert set(found["segmenter_guide"]["train"]) == {"ECE"}


def test_difficult_tags_reach_the_classifiers_score(project):
    layout = Layout(project.root)
    rows = [("p0", 0.1, 0), ("p1", 0.2, 1), ("p2", 0.9, 0), ("p3", 0, 1)]
    formats.write_table(layout.tag_scores, rows, columns=("id", "cat", "dog"))
    assert evaluate(project, "seed")["classifier"]["train"]["mAP"] < 100
    formats.write_table(layout.difficult, [("p0", "cat")], columns=("id", "tags"))
    assert evaluate(project, "seed")["classifier"]["train"]["mAP"] == 100


def test_saliency(project):
    scores = evaluate(project, "saliency")
    assert scores["saliency"]["val"] == {
        "IoU": 100.0, "mean_IoU": 100.0, "max_F": 100.0, "MAE": 0.0, "S_measure": 100.0,
    }  # fmt: skip
    assert scores["saliency_half"]["train"] == {"IoU": 100.0}
    assert scores["about"]["saliency"] == "net"


def test_guide(project):
    scores = evaluate(project, "guide")
    for link in ("seeds", "fused", "guide"):
        agrees = {"tags_found": 100.0, "untagged": 0.0} if link == "guide" else {}
        right = {"mIoU": 100.0, "mIoU_low": 100.0, "mIoU_high": 100.0}
        assert scores[link]["train"] == right | agrees


def test_segment(project):
    found = evaluate(project, "segment")
    assert set(found) == {"segmenter_guide", "refined_guide", "about"}
    assert "ECE" not in found["segmenter_guide"]["val"]  # no logits
    assert found["segmenter_guide"]["val"]["mIoU"] == 33.33  # background right, cat for dog
    assert found["refined_guide"]["val"]["boundary_IoU"] == 100.0
    table = (project.root / "data/scores/segment/images.csv").read_text()
    assert table == (
        "link,split,id,mIoU\nrefined_guide,val,p3,100.00\nsegmenter_guide,val,p3,33.33\n"
    )


def test_segment_with_full_masks(project):
    write_full(project)
    found = evaluate(project, "segment")
    assert found["segmenter_guide"]["val"]["FS%"] == 33.33
    assert found["refined_guide"]["val"]["FS%"] == 100.0
    assert found["segmenter_full"]["val"]["mIoU_minus_guide"] == 66.67
    said = project.here("cli.py", "scores").stdout
    assert re.search(r"segmenter +FS% +33.3 +33.3-33.3", said)
    assert re.search(r"segmenter, full masks +mIoU_minus_guide +66.7 +66.7-66.7", said)


def test_images_with_several_tags(project):
    """p3 alone has a second tag, `cat`, which no link shows."""
    samples = project.root / "data/prepared/samples.csv"
    samples.write_text(samples.read_text().replace(",val,dog,", ",val,cat dog,"))
    for group, link in (("guide", "seeds"), ("segment", "segmenter_guide")):
        found = evaluate(project, group)[link]
        assert found["val"]["several_tags_images"] == 1
        assert found["val"]["several_tags_mIoU"] == found["val"]["mIoU"]
        assert "several_tags_images" not in found.get("train", {})
        counts = formats.read_arrays(project.root / f"data/scores/{group}/counts.npz")
        assert counts[f"{link}.val.several_tags_mIoU.ids"].tolist() == ["p3"]


def test_class_maps_of_images_with_several_tags(project):
    """p1 alone has a second tag, and its map is right; that of p0 shows its class nowhere."""
    layout = Layout(project.root)
    samples = layout.samples.read_text()
    layout.samples.write_text(re.sub(r"(?m)^(p1,.*,train,)\w+,", r"\1cat dog,", samples))
    formats.write_maps(layout.maps / "p0.npz", np.zeros((1, 30, 40), np.float32), np.uint8([1]))
    found = evaluate(project, "seed")
    maps, localisation = found["maps"]["train"], found["localisation"]["train"]
    assert maps["several_tags_best_mIoU"] == 100 > maps["best_mIoU"]
    assert localisation["several_tags_point_mAP"] == 100 > localisation["point_mAP"]
    assert not [name for name in found["maps"]["val"] if "several" in name]
    assert len((project.root / "data/scores/seed/curve.tsv").read_text().splitlines()) == 101


@pytest.mark.parametrize("group", STAGES)
def test_one_worker_and_three_write_the_same_scores(project, group):
    folder = project.root / "data/scores"
    evaluate(project, group)
    first = formats.digest(folder)
    project.python("-m", "stages", f"evaluate_{group}", GUIDELABEL_WORKERS="3")
    assert formats.digest(folder) == first


def test_without_masks_only_the_tags_give_scores(project):
    (project.root / "data/prepared/truth.csv").write_text("id,mask\n")
    for group in STAGES:
        scores = evaluate(project, group)
        seed, guide = {"classifier", "chance"}, {"guide", "chance"}
        links = {"seed": seed, "guide": guide, "segment": {"refined_guide"}}
        assert set(scores) == {"about"} | links.get(group, set())
        assert scores["about"]["images_scored"] == 0
    printed = project.here("cli.py", "scores").stdout
    assert "classifier" in printed and "guide labels, tags that have a pixel" in printed
    html, data = report(project)
    assert "No image has a mask, so there" in html and "IoU by class" not in html
    assert not re.search(r"<th[^>]*></th>|<table>\s*</table>", html)
    images = {row[0]: row for row in data["images"]}
    assert [images["p3"][i] for i in (3, 7)] == [100.0, []]  # score, shares of pixels
    assert data["kinds"][images["p3"][4]] == "agrees with its tags"
    assert images["p3"][10] == [1, 1, 1, 1, 1, 0, 0]  # neither truth nor errors
    assert panel_widths(project) == {6 * 200 + 5 * 4}  # image to prediction, gaps between
    numbers = json.loads((project.root / "data/metrics.json").read_text())
    assert set(numbers) == {"split", "mAP", "tags_found", "untagged"}


def report(project):
    """The text of the report, and its data."""
    project.stages("report")
    html = (project.root / "data/report/index.html").read_text()
    return html, json.loads(re.search(r'id="data">(.*?)</script>', html)[1])


def picture(path):
    with Image.open(path) as opened:
        return np.asarray(opened)


def panel_widths(project):
    panels = (project.root / "data/report/panels").iterdir()
    return {formats.read_image(p).shape[1] for p in panels}


def test_with_masks_the_report_has_every_part(project):
    for group in STAGES:
        evaluate(project, group)
    losses = project.root / "data/models/saliency/loss.tsv"
    formats.write_table(losses, [(1, 0.5, "")], columns=("epoch", "loss", "val_loss"), sep="\t")
    html, data = report(project)
    assert "Loss: saliency network" in html
    project.change({"saliency": {"source": "onnx"}})
    (project.root / "data/saliency/net").rename(project.root / "data/saliency/onnx")
    assert "Loss: saliency network" not in report(project)[0]  # this one was not used
    for part in ("The chain, link by link", "Reliability", "segmenter + CRF, val", ">95 %</th>",
                 "Which class became which", "on 4 images with masks"):  # fmt: skip
        assert part in html
    assert [row[0] for row in data["images"]] == ["p0", "p1", "p2", "p3"]
    assert data["images"][3][6] == [100.0] * 5 and data["images"][0][10] == [1, 1, 1, 1, 0, 1, 1]
    assert data["images"][3][9] == [[2, 1.0], [1, 0.0]]  # dog, cat
    assert panel_widths(project) == {8 * 200 + 7 * 4}
    numbers = json.loads((project.root / "data/metrics.json").read_text())
    assert numbers == {"split": "val", "mAP": 100.0, "seeds": 100.0, "saliency": 100.0,
                       "guide": 100.0, "segmenter": 33.33, "refined": 100.0}  # fmt: skip


def test_each_image_of_the_report_has_three_pictures_of_one_shape(project):
    for group in STAGES:
        evaluate(project, group)
    report(project)
    folder = project.root / "data/report"
    for key in ("p0", "p1", "p2", "p3"):
        photo, layers, thumb = (
            picture(folder / name / f"{key}.webp") for name in ("photos", "layers", "thumbs")
        )
        assert photo.shape == (30, 40, 3) and thumb.shape == (8 * 30, 40, 3)
        assert layers.shape == (7 * 30, 40, 4)
        tint = layers[3 * 30 : 4 * 30]  # the guide label, which is right
        label = formats.read_label(project.root / f"data/labels/full/{key}.png")
        assert ((tint[..., 3] > 0) == (label > 0)).all()


def test_brought_masks_are_a_layer_of_the_report(project):
    for group in STAGES:
        evaluate(project, group)
    before, _ = report(project)
    folder = project.root / "data/report"
    plain = {key: picture(folder / f"layers/{key}.webp") for key in ("p0", "p1")}
    mask = formats.read_label(project.root / "data/labels/guide/p0.png").copy()
    mask[:3] = 3 - mask.max()  # a tenth of the pixels
    formats.write_label(project.root / "data/labels/brought/p0.png", mask)
    project.change({"segment": {"supervision": ["guide", "brought"]}})
    html, data = report(project)
    assert "a brought mask and a guide label" in html and "brought mask and" not in before
    tiles = {key: np.split(picture(folder / f"layers/{key}.webp"), 8) for key in plain}
    assert ((tiles["p0"][4][..., 3] > 0) == (mask > 0)).all()
    assert tiles["p1"][4].max() == 0  # this image has none
    for key, layers in plain.items():
        assert (np.concatenate([*tiles[key][:4], *tiles[key][5:]]) == layers).all()
    assert [row[10][4] for row in data["images"]] == [1, 0, 0, 0]
    assert [row[-1] for row in data["images"]] == [10.0, None, None, None]


def test_the_report_without_its_optional_tables(project):
    """A run whose tables of details were removed still has its scores and pictures."""
    for group in STAGES:
        evaluate(project, group)
    for folder in ("seed", "saliency", "guide", "segment", "made_of"):
        shutil.rmtree(project.root / "data/scores" / folder)
    html, data = report(project)
    assert "The chain, link by link" in html and len(data["images"]) == 4
    assert "IoU by class" not in html and 'id="curves"' not in html and "Unknown: there" in html


def test_the_report_shows_the_first_of_several_supervisions(project):
    write_full(project)
    project.change({"segment": {"supervision": ["full", "guide"]}})
    for group in STAGES:
        evaluate(project, group)
    formats.write_label(project.root / "data/refined/full/p3.png", np.zeros((30, 40), np.uint8))
    html, data = report(project)
    assert "full, guide" in html and data["images"][3][6][4] == 0
    numbers = json.loads((project.root / "data/metrics.json").read_text())
    assert numbers["segmenter"] == 100.0


def test_a_page_of_fewer_images_shows_those_of_val_first(project):
    for group in STAGES:
        evaluate(project, group)
    project.change({"report": {"images": 1}})
    _, data = report(project)
    assert [row[0] for row in data["images"]] == ["p3"]
    assert len(list((project.root / "data/report/thumbs").iterdir())) == 1


def test_scores_of_one_group_are_printed_without_the_others(project):
    evaluate(project, "guide")
    printed = project.here("cli.py", "scores").stdout
    assert "guide labels" in printed and "classifier" not in printed and "100.0-100.0" in printed
    assert "saliency:" not in printed


def test_labels_that_were_brought_are_scored_and_compared_on_their_own_images(project):
    """p0 agrees with the guide label, p2 is the other class, p1 and p3 were not brought."""
    project.change({"segment": {"supervision": ["guide", "brought"]}})
    layout = Layout(project.root)
    for key in ("p0", "p2"):
        label = formats.read_label(layout.labels("full") / f"{key}.png")
        brought = np.where(label > 0, 2, 0) if key == "p2" else label
        formats.write_label(layout.labels("brought") / f"{key}.png", brought.astype(np.uint8))
    project.stages("score_labels brought", "score_labels guide")
    folder = layout.label_scores("brought")
    scores = formats.read_json(folder / "scores.json")["labels_brought"]
    assert set(scores) == {"train"}
    train = scores["train"]
    assert train["mIoU"] == train["mIoU_with_guide"] == 50.0  # background 1, cat 1/2, dog 0
    assert train["mIoU_minus_guide"] == -50.0
    assert (folder / "disagreement.tsv").read_text() == (
        "split\tid\tmIoU\tforeground_IoU\ntrain\tp2\t33.33\t100.00\ntrain\tp0\t100.00\t100.00\n"
    )
    guide = layout.label_scores("guide")
    assert set(formats.read_json(guide / "scores.json")["labels_guide"]["train"]) == {
        "mIoU", "mIoU_low", "mIoU_high",
    }  # fmt: skip
    assert len((guide / "disagreement.tsv").read_text().splitlines()) == 1


def test_without_truth_the_labels_are_compared_all_the_same(project):
    project.change({"segment": {"supervision": ["guide", "brought"]}})
    layout = Layout(project.root)
    (project.root / "data/prepared/truth.csv").write_text("id,mask\n")
    label = formats.read_label(layout.labels("full") / "p3.png")
    formats.write_label(layout.labels("brought") / "p3.png", label)
    project.stages("score_labels brought")
    scores = formats.read_json(layout.label_scores("brought") / "scores.json")
    assert scores == {"labels_brought": {"val": {"mIoU_with_guide": 100.0}}}
