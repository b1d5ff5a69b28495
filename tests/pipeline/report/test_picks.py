"""Which images the report shows."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.core.samples import Sample
from pipeline.report.config import Report
from pipeline.report.picks import most_probable, pick

VAL = {"d": "50.00", "b": "90.00", "c": "10.00", "a": "50.00", "e": "nan", "f": "70.00"}
TRAIN = {"t": "100.00", "u": "0.00"}
SCORED = [
    {"split": split, "id": key, "mIoU": miou}
    for split, scores in (("train", TRAIN), ("val", VAL))
    for key, miou in scores.items()
]
SAMPLES = [
    Sample(key, Path(key), split, (), 1, 1, "")
    for split, keys in (("train", [*TRAIN, "w"]), ("val", [*VAL, "x"]))
    for key in keys
]


def picked(scored=SCORED, random_seed=0, **counts):
    """The picked ids by group."""
    report = Report(**({"best": 0, "worst": 0, "random": 0} | counts))
    groups = {"best": [], "worst": [], "random": []}
    for p in pick(SAMPLES, scored, report, random_seed=random_seed):
        groups[p.group].append(p.id)
    return groups


def test_best_and_worst_images_of_val_come_first_and_equals_by_id():
    groups = picked(best=3, worst=2)
    assert groups["best"] == ["b", "f", "a"] and groups["worst"] == ["c", "d"]


def test_no_image_is_both_best_and_worst():
    groups = picked(best=4, worst=4)
    assert groups["best"] == ["b", "f", "a", "d"] and groups["worst"] == ["c"]


def test_random_images_are_the_others_of_val():
    groups = picked(best=1, worst=1, random=9)
    assert sorted(groups["random"]) == ["a", "d", "e", "f", "x"]


def test_the_random_seed_decides_which_images_are_drawn():
    draws = {tuple(picked(random=2, random_seed=seed)["random"]) for seed in range(9)}
    assert picked(random=2) == picked(random=2) and len(draws) > 1


def test_without_scores_on_val_the_images_are_those_of_train():
    groups = picked([row for row in SCORED if row["split"] == "train"], best=1, random=9)
    assert groups["best"] == ["t"] and sorted(groups["random"]) == ["u", "w"]


def test_without_any_score_random_images_of_all_splits_are_picked():
    groups = picked([], best=2, worst=2, random=99)
    assert sorted(groups["random"]) == sorted(s.id for s in SAMPLES)
    assert not groups["best"] and not groups["worst"]


def test_the_five_most_probable_classes_come_in_order():
    probability = np.array([0.1, 0.9, 0.5, 0.0, 0.5, 0.95, 0.2])
    assert most_probable(probability).tolist() == [5, 1, 2, 4, 6]
    assert most_probable(probability[:2]).tolist() == [1, 0]


@pytest.mark.parametrize("key, miou", [("b", "90.00"), ("e", "nan"), ("x", "")])
def test_a_pick_has_its_score(key, miou):
    report = Report(best=9, worst=0, random=9)
    scores = {p.id: p.miou for p in pick(SAMPLES, SCORED, report, random_seed=0)}
    assert scores[key] == miou
