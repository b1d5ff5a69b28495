"""Which images the report shows."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.core.samples import Sample
from pipeline.report.config import Report
from pipeline.report.picks import choose, most_probable, pick

VAL = {"d": 50.0, "b": 90.0, "c": 10.0, "a": 50.0, "e": None, "f": 70.0, "x": None}
TRAIN = {"t": 100.0, "u": 0.0, "w": None}


def sample(key, split):
    return Sample(key, Path(key), split, (), 1, 1, "")


SCORED = [
    (sample(key, split), score)
    for split, scores in (("train", TRAIN), ("val", VAL))
    for key, score in scores.items()
]


def picked(scored=SCORED, random_seed=0, **counts):
    """The picked ids by group."""
    report = Report(**({"images": 0, "best": 0, "worst": 0, "random": 0} | counts))
    groups = {"best": [], "worst": [], "random": []}
    for group, s in pick(scored, report, random_seed=random_seed):
        groups[group].append(s.id)
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
    groups = picked([(s, v if s.split == "train" else None) for s, v in SCORED], best=1, random=9)
    assert groups["best"] == ["t"] and sorted(groups["random"]) == ["u", "w"]


def test_without_any_score_random_images_of_all_splits_are_picked():
    groups = picked([(s, None) for s, _ in SCORED], best=2, worst=2, random=99)
    assert sorted(groups["random"]) == sorted(s.id for s, _ in SCORED)
    assert not groups["best"] and not groups["worst"]


def test_the_five_most_probable_classes_come_in_order():
    probability = np.array([0.1, 0.9, 0.5, 0.0, 0.5, 0.95, 0.2])
    assert most_probable(probability).tolist() == [5, 1, 2, 4, 6]
    assert most_probable(probability[:2]).tolist() == [1, 0]


@pytest.mark.parametrize("count, val, train", [(99, 7, 3), (8, 7, 1), (3, 3, 0), (0, 0, 0)])
def test_the_page_shows_val_before_train_and_keeps_the_order(count, val, train):
    samples = [s for s, _ in SCORED]
    chosen = choose(samples, count, random_seed=0)
    assert [s.split for s in chosen].count("val") == val
    assert [s.split for s in chosen].count("train") == train
    assert chosen == [s for s in samples if s in chosen]


def test_the_random_seed_decides_which_of_too_many_images_are_on_the_page():
    samples = [s for s, _ in SCORED]
    draws = {tuple(s.id for s in choose(samples, 2, random_seed=seed)) for seed in range(9)}
    assert choose(samples, 2, random_seed=1) == choose(samples, 2, random_seed=1) and len(draws) > 1
