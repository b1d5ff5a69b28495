import numpy as np

from pipeline import page, scores

COUNTS = {
    ("guide", "train"): np.array([[8, 2, 0], [0, 10, 0]]),
    ("refined_guide", "val"): np.array([[5, 0, 0], [5, 4, 1]]),
    ("saliency", "val"): np.array([[3, 1, 0], [0, 3, 0]]),
}


def test_scores_by_hand():
    found = scores.by_link(COUNTS)
    assert found["guide"]["train"] == {"mIoU": round(100 * (8 / 10 + 10 / 12) / 2, 2)}
    assert found["saliency"]["val"] == {"IoU": 75.0}
    assert found["refined_guide"]["val"] == {"mIoU": round(100 * (5 / 10 + 4 / 10) / 2, 2)}


def test_sums_over_images():
    total = {}
    scores.add(total, COUNTS)
    scores.add(total, {("guide", "train"): COUNTS["guide", "train"]})
    assert (total["guide", "train"] == 2 * COUNTS["guide", "train"]).all()
    assert (COUNTS["guide", "train"] == [[8, 2, 0], [0, 10, 0]]).all()


def test_last_link_prefers_val_and_the_end_of_the_chain():
    assert scores.last_link(COUNTS) == ("refined_guide", "val")
    assert scores.last_link({("guide", "train"): COUNTS["guide", "train"]}) == ("guide", "train")
    assert scores.last_link({}) is None


def test_map_leaves_classes_out_that_never_occur():
    probability = {"a": [0.9, 0.1, 0.5], "b": [0.2, 0.8, 0.5]}
    tags = {"a": ["cat"], "b": ["dog"]}
    assert scores.classifier(probability, tags, ["cat", "dog", "cow"]) == 100.0
    assert scores.classifier(probability, {"a": []}, ["cat", "dog", "cow"]) is None


def test_confusion_pairs_are_a_thousand_a_class():
    pairs = list(scores.confusion_pairs(COUNTS["refined_guide", "val"], ["background", "cat"]))
    assert pairs.count(("cat", "background")) == 500 and pairs.count(("cat", "void")) == 100


def test_lines_follow_the_chain_and_leave_gaps_out():
    found = scores.by_link(COUNTS) | {"classifier": {"val": {"mAP": 90.0}}}
    assert [line.link for line in page.lines(found)] == [
        "classifier", "saliency", "guide", "refined_guide",
    ]  # fmt: skip


def test_report_escapes_names():
    html = page.render(
        scores={**scores.by_link(COUNTS), "FS%": 80.0, "about": {
            "saliency": "net", "saliency_trained_on": "x", "images_scored": 1,
            "run_on": {"classifier": {"device": "cpu", "precision": "float32"}},
        }},
        per_class=[{"link": "refined_guide", "split": "val", "class": "<cat>", "iou": "4"}],
        classes=["<cat>"], columns=["image"],
        shown=[page.Shown("best", "<id>", "panels/x.jpg", "1.0", "<cat>")],
    )  # fmt: skip
    assert "<cat>" not in html and "&lt;cat&gt;" in html and "&lt;id&gt;" in html
    assert "80.0" in html
