from pathlib import Path

import numpy as np
import pytest

from pipeline.core.samples import Sample
from pipeline.scores.labels import label_scores
from pipeline.scores.labels.counting import Tally
from pipeline.scores.saliency import saliency_scores
from pipeline.scores.seed import localise, seed_curve, seed_scores
from pipeline.scores.shared import metrics
from pipeline.scores.shared.percent import mean, percent

GUIDE = [np.array([[5, 2, 0], [0, 3, 0]]), np.array([[3, 0, 0], [0, 7, 0]])]
REFINED = [np.array([[5, 0, 0], [5, 4, 1]])]
NEAR = [np.array([[2, 1], [4, 1], [3, 1]])]
TALLIES = {
    ("guide", "train"): Tally(["a", "b"], GUIDE),
    ("refined_guide", "val"): Tally(["c"], REFINED, NEAR),
}


def test_agreement_with_the_tags_by_hand():
    samples = [
        Sample(key, Path(), split, tags, 1, 1, "")
        for key, split, tags in (("a", "train", ("cat", "dog")), ("b", "train", ("dog",)),
                                 ("c", "train", ()), ("d", "train", ("cat",)), ("e", "val", ()))
    ]  # fmt: skip
    shown = {"a": {1}, "b": {1, 2}, "c": {2}, "e": set()}  # d has no label image
    found = label_scores.agreement(shown, samples, ["cat", "dog"])
    assert found["train"] == {"tags_found": 66.67, "untagged": 66.67}  # 2 of 3 tags; b and c
    assert found["val"] == {"tags_found": None, "untagged": 0.0}


def test_label_scores_by_hand():
    found = label_scores.labels(TALLIES)
    guide = found["guide"]["train"]
    assert guide["mIoU"] == round(100 * (8 / 10 + 10 / 12) / 2, 2)
    each = [metrics.mean_iou(g) for g in GUIDE]
    assert guide["mIoU_low"] == pytest.approx(100 * min(each), abs=0.01)  # one image twice
    assert guide["mIoU_high"] == pytest.approx(100 * max(each), abs=0.01)
    assert set(guide) == {"mIoU", "mIoU_low", "mIoU_high"}
    score = round(100 * (5 / 10 + 4 / 10) / 2, 2)
    assert found["refined_guide"]["val"] == {
        "mIoU": score, "mIoU_low": score, "mIoU_high": score,
        "boundary_IoU": round(100 * (2 / 5 + 1 / 1) / 2, 2),
        "fwIoU": round(100 * (5 * 0.5 + 10 * 0.4) / 15, 2),
        "pixel_accuracy": 60.0,
    }  # fmt: skip


def test_images_with_several_tags_are_scored_by_themselves():
    """Image b alone: its 3 and 7 pixels are right, so 100; of both images together, 82."""
    tallies = {("guide", "train"): Tally(["a", "b"], GUIDE, several_tags={"b"})}
    plain, found = label_scores.labels(TALLIES), label_scores.labels(tallies)
    more = {key: value for key, value in found["guide"]["train"].items() if "several" in key}
    assert more == {
        "several_tags_mIoU": 100.0, "several_tags_mIoU_low": 100.0, "several_tags_mIoU_high": 100.0,
        "several_tags_images": 1,
    }  # fmt: skip
    assert found["guide"]["train"].items() - more.items() == plain["guide"]["train"].items()


def test_the_image_counts_give_every_miou_again():
    tallies = {("guide", "train"): Tally(["a", "b"], GUIDE, several_tags={"b"})}
    counts, scores = label_scores.image_counts(tallies), label_scores.labels(tallies)
    assert counts["guide.train.mIoU.ids"].tolist() == ["a", "b"]
    assert counts["guide.train.several_tags_mIoU.ids"].tolist() == ["b"]
    assert (counts["guide.train.mIoU"] == GUIDE).all() and len(counts) == 4
    for name in ("mIoU", "several_tags_mIoU"):
        miou = metrics.mean_iou(counts[f"guide.train.{name}"].sum(axis=0))
        assert scores["guide"]["train"][name] == percent(miou)


def segmenters(*names):
    """Three images a segmenter: `guide` mediocre, `oracle` better, `full` right everywhere."""
    wrong = {"guide": (40, 30, 20), "oracle": (20, 15, 10), "full": (0, 0, 0)}
    return {
        (f"refined_{name}", "val"): Tally(
            ["a", "b", "c"],
            [np.array([[100 - n, n, 0], [n, 60 - n, 0]]) for n in wrong[name]],
        )
        for name in names
    }


def test_every_supervision_is_compared_with_full_and_with_the_first():
    names = ("guide", "oracle", "full")
    tallies, found = segmenters(*names), label_scores.comparisons(segmenters(*names), names)
    miou = {n: metrics.mean_iou(tallies[f"refined_{n}", "val"].total_CC) for n in names}
    guide, oracle, full = (found[f"refined_{n}"]["val"] for n in names)
    assert set(guide) == {"FS%", "FS%_low", "FS%_high"}
    ends = {f"mIoU_minus_guide{end}" for end in ("", "_low", "_high")}
    assert set(oracle) == set(guide) | ends and set(full) == ends
    for name, score in (("guide", guide), ("oracle", oracle)):
        assert score["FS%"] == percent(miou[name] / miou["full"])
        assert score["FS%_low"] < score["FS%"] < score["FS%_high"]
    for name, score in (("oracle", oracle), ("full", full)):
        assert score["mIoU_minus_guide"] == percent(miou[name] - miou["guide"])
        assert 0 < score["mIoU_minus_guide_low"] < score["mIoU_minus_guide_high"]


def test_one_supervision_alone_has_nothing_to_compare_with():
    for name in ("guide", "full"):
        assert label_scores.comparisons(segmenters(name), (name,)) == {}
    tallies = segmenters("full", "guide")  # before the CRF, only one of the two ran
    tallies["segmenter_guide", "val"] = tallies["refined_guide", "val"]
    found = label_scores.comparisons(tallies, ("full", "guide"))
    assert set(found) == {"refined_guide"}
    assert set(found["refined_guide"]["val"]) == {
        f"{name}{end}" for name in ("FS%", "mIoU_minus_full") for end in ("", "_low", "_high")
    }


def test_an_interval_does_not_depend_on_other_links():
    alone = label_scores.labels({("guide", "train"): TALLIES["guide", "train"]})
    assert alone["guide"] == label_scores.labels(TALLIES)["guide"]


def test_no_class_by_hand():
    """The scores are 0.1, 0.6 and 0.8. The images b and c have no tag."""
    probability = {"a": [0.2, 0.9], "b": [0.4, 0.3], "c": [0.1, 0.2]}
    tags = {"a": ["dog"], "b": [], "c": []}
    assert seed_scores.no_class(probability, tags) == {"AUROC": 100.0, "AP": 100.0}
    tags = {"a": [], "b": ["dog"], "c": []}
    assert seed_scores.no_class(probability, tags) == {"AUROC": 50.0, "AP": 83.33}
    assert seed_scores.no_class(probability, dict.fromkeys("abc", ())) == {}
    assert seed_scores.no_class(probability, dict.fromkeys("abc", ("dog",))) == {}


def test_map_scores_agree_with_the_seeds_at_the_best_threshold(rng):
    rows, seeds = [], []
    for _ in range(6):
        real = rng.integers(0, 3, (20, 20)).astype(np.uint8)
        value = np.clip((real > 0) * 0.4 + 0.5 * rng.random((20, 20)), 0, 1)
        cls = np.where(real > 0, real, 1).astype(np.uint8)
        rows.append(seed_curve.packed(seed_curve.count(value, cls, real, classes=3)))
        seeds.append((value, cls, real))
    found, curve = seed_scores.maps(rows, classes=3)
    at = found["best_threshold"]
    cut = [(np.where(v >= at, c, 0).astype(np.uint8), t) for v, c, t in seeds]
    total = sum(metrics.confusion(label, t, classes=3) for label, t in cut)
    assert found["best_mIoU"] == pytest.approx(100 * metrics.mean_iou(total), abs=0.01)
    assert found["best_mIoU_low"] < found["best_mIoU"] < found["best_mIoU_high"]
    assert len(curve) == 100 and len(curve[0]) == len(seed_scores.CURVE)
    assert max(float(r[1]) for r in curve) == pytest.approx(found["best_mIoU"], abs=0.01)
    assert seed_scores.maps([np.zeros((0, 4), int)], classes=3) == ({}, [])  # all void


def test_localisation_scores_leave_out_images_without_a_class():
    probability = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.6]])
    marks = np.zeros((3, 4, 2), bool)
    marks[0, :3, 0] = True  # box right, point right, present
    marks[1, 2, 0] = True  # present and missed; image 2 holds no class
    found, ap = seed_scores.localisation(probability, marks)
    assert found == {"top1_error": 50.0, "top5_error": 50.0, "point_mAP": 50.0}
    assert ap[0] == 0.5 and np.isnan(ap[1])
    assert localise.error(probability, marks[:, 0], best=1) == pytest.approx(2 / 3)


def test_saliency_scores_by_hand():
    """Two images of 10 pixels, 5 foreground: one map right, the other grey 102 everywhere."""
    hist = np.zeros((2, 2, 256), int)
    hist[0, 0, 0] = hist[0, 1, 255] = hist[1, 0, 102] = hist[1, 1, 102] = 5
    found, curve = saliency_scores.summary(hist, np.array([1, 0.4]), threshold=0.3)
    assert found["saliency"] == {
        "IoU": round(100 * 10 / 15, 2), "mean_IoU": 75.0, "S_measure": 70.0, "MAE": 25.0,
        "max_F": round(100 * (1 + 1.3 * 0.5 / (0.15 + 1)) / 2, 2),
    }  # fmt: skip
    assert found["saliency_half"] == {"IoU": 50.0}
    assert len(curve) == len(saliency_scores.LEVELS) and curve[0][0] == "0.000"


def test_tables_by_hand():
    assert label_scores.per_image(TALLIES)[-1] == ("refined_guide", "val", "c", "45.00")
    assert [r[:3] for r in label_scores.per_image(TALLIES)[:2]] == [
        ("guide", "train", "a"), ("guide", "train", "b"),
    ]  # fmt: skip
    assert label_scores.per_class(TALLIES, ["background", "cat"])[2:] == [
        ("refined_guide", "val", "background", "50.00"), ("refined_guide", "val", "cat", "40.00"),
    ]  # fmt: skip
    ap = seed_scores.per_class_ap("val", ["cat"], np.array([0.5]), np.array([np.nan]))
    assert ap == [("val", "cat", "50.00", "nan")]


def test_last_link_prefers_val_and_the_guide_segmenter():
    tally = Tally()
    assert label_scores.last_link(TALLIES) == ("refined_guide", "val")
    both = {("refined_full", "val"): tally, ("refined_guide", "train"): tally}
    assert label_scores.last_link(both) == ("refined_guide", "train")
    assert label_scores.last_link({("guide", "train"): tally}) is None


PROBABILITY = {"a": [0.9, 0.1, 0.5], "b": [0.2, 0.8, 0.5], "c": [0.5, 0.9, 0.5]}


def test_map_leaves_classes_out_that_never_occur():
    tags = {"a": ["cat"], "b": ["dog"]}
    ap = seed_scores.classifier(PROBABILITY, tags, ["cat", "dog", "cow"], difficult={})
    assert ap[:2].tolist() == [1, 1] and np.isnan(ap[2]) and mean(ap) == 1
    none = seed_scores.classifier(PROBABILITY, {"a": []}, ["cat", "dog", "cow"], difficult={})
    assert np.isnan(mean(none)) and percent(mean(none)) is None


def test_difficult_tags_count_neither_for_nor_against():
    classes = ["cat", "dog", "cow"]
    tags = {"a": ["cat"], "b": ["dog"], "c": ["cat", "dog"]}
    plain = seed_scores.classifier(PROBABILITY, tags, classes, difficult={})
    eased = seed_scores.classifier(PROBABILITY, tags, classes, difficult={"c": ["dog"]})
    without = seed_scores.classifier(PROBABILITY, {k: tags[k] for k in "ab"}, classes, difficult={})
    assert eased[0] == plain[0] and eased[1] == without[1]
    untagged = seed_scores.classifier(PROBABILITY, {**tags, "c": ["cat"]}, classes, difficult={})
    assert untagged[1] == 0.5 != eased[1]


def test_confusion_pairs_are_a_thousand_a_class():
    pairs = list(label_scores.confusion_pairs(REFINED[0], ["background", "cat"]))
    assert pairs.count(("cat", "background")) == 500 and pairs.count(("cat", "void")) == 100


def test_chance_by_hand():
    """75 of 107 pixels are background, so the IoU are 75 / 107, 0 and 0, right or wrong."""
    right, wrong = np.diag([75, 20, 5]), np.array([[0, 0, 75], [0, 0, 20], [0, 0, 5]])
    void = np.zeros((3, 1), int)  # the column of pixels without a class
    void[1] = 7  # cat pixels too
    for counts in (right, wrong):
        tally = Tally(["a"], [np.hstack([counts, void])])
        share = 100 * 75 / 107
        assert label_scores.chance({("guide", "val"): tally, ("seeds", "val"): None}, "guide") == {
            "val": {"mIoU": round(share / 3, 2)}
        }
    tags = {"a": ("cat",), "b": ("cat", "dog"), "c": (), "d": ("dog",)}
    classes = ("cat", "dog", "cow")  # no image has a cow
    assert seed_scores.chance(tags, classes, difficult={}) == {"mAP": 50.0}
    found = seed_scores.chance(tags, classes, difficult={"d": ("dog",)})  # cat 2 of 4, dog 1 of 3
    assert found == {"mAP": 41.67}


def test_a_random_order_scores_chance(rng):
    """It scores a little more: the precision counts as the best at this or a higher recall."""
    tags = {f"i{n}": ("cat",) if n % 4 == 0 else () for n in range(4000)}
    scores = [
        seed_scores.classifier({k: rng.random(1) for k in tags}, tags, ("cat",), difficult={})
        for _ in range(10)
    ]
    chance = seed_scores.chance(tags, ("cat",), difficult={})["mAP"]
    assert chance == 25.0 <= 100 * np.mean(scores) < 27
