"""Where two sets of labels disagree, on tiny labels by hand."""

import math

import numpy as np
import pytest

from pipeline.core.arrays import VOID as V
from pipeline.scores.labels import disagreement


def count(label, other, *, classes=3):
    return disagreement.count(
        np.array([label], np.uint8), np.array([other], np.uint8), classes=classes
    )


def test_pixels_that_are_void_in_one_label_do_not_count():
    assert count([0, 1, V, 1], [0, 2, 1, V])[:, :3].tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]
    assert count([0, 1, V, 1], [0, 2, 1, V]).sum() == 2


@pytest.mark.parametrize("label, other, expected", [
    ([1, 1, 0, 0], [1, 1, 0, 0], 1), ([1, 1, 0, 0], [0, 1, 1, 0], 1 / 3),
    ([1, 1, 0, 0], [2, 2, 0, 0], 1),  # the same foreground, though of another class
    ([1, 0, 0, 0], [0, 0, 0, 0], 0), ([0, 0], [0, 0], 1), ([1, V, 0], [1, 1, 0], 1),
])  # fmt: skip
def test_the_foreground_is_compared_whatever_its_class(label, other, expected):
    assert disagreement.foreground_iou(count(label, other)) == pytest.approx(expected)
    assert disagreement.foreground_iou(count(other, label)) == pytest.approx(expected)


def test_without_a_known_pixel_there_is_no_foreground_iou():
    assert math.isnan(disagreement.foreground_iou(count([V], [1])))


def test_the_greatest_disagreement_comes_first_and_void_images_are_left_out():
    counts = {
        ("train", "same"): count([1, 0], [1, 0]),
        ("val", "class"): count([1, 1, 0, 0], [2, 2, 0, 0]),
        ("train", "half"): count([1, 1, 0, 0], [0, 1, 0, 0]),
        ("train", "void"): count([V, V], [1, 0]),
    }
    assert disagreement.table(counts) == [
        ("val", "class", "33.33", "100.00"),
        ("train", "half", "58.33", "50.00"),
        ("train", "same", "100.00", "100.00"),
    ]


def test_the_score_of_a_split_is_of_the_pixels_of_all_its_images():
    counts = {("train", "a"): count([1, 0], [1, 0]), ("train", "b"): count([1, 1], [0, 0])}
    # background: 1 of 3 pixels; class 1: 1 of 3
    assert disagreement.scores(counts, other="guide") == {"train": {"mIoU_with_guide": 33.33}}
