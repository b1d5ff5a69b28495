"""The labels of a later round, on tiny pictures by hand."""

import numpy as np
import pytest

from pipeline.boxes import rounds
from pipeline.boxes.config import BoxRounds
from pipeline.core.arrays import VOID
from pipeline.crf.config import Crf

NO_CRF = Crf(iterations=0, smooth_w=0, smooth_sxy=1, bilateral_w=0, bilateral_sxy=1,
             bilateral_srgb=1)  # fmt: skip
V = VOID


def one_row(values):
    return np.array([values], np.uint8)


def next_label(probability, first, boxes, *, min_iou=0.0, crf=NO_CRF, image=None):
    first = one_row(first)
    image = np.zeros((*first.shape, 3), np.uint8) if image is None else image
    probability = np.array(probability, np.float32)[:, None]
    rule = BoxRounds(min_iou=min_iou, crf="none")
    return rounds.next_label(image, probability, first, boxes, rule, crf)[0].tolist()


@pytest.mark.parametrize("seen, expected", [
    ([1, 1, 0, 0], [1, 1, 0, 0, 0]),  # half of the box: kept
    ([1, 0, 0, 0], [V, 1, 1, V, 0]),  # below: the box returns to its first label
    ([2, 2, 2, 2], [V, 1, 1, V, 0]),  # another class is no segment of this box
])  # fmt: skip
def test_a_box_with_too_small_a_segment_returns_to_its_first_label(seen, expected):
    first, predicted = one_row([V, 1, 1, V, 0]), one_row([*seen, 1])
    found = rounds.reset(predicted, first, ((1, (0, 0, 4, 1)),), min_iou=0.5)
    assert found[0].tolist() == expected  # the last pixel is outside the box


def test_a_reset_of_the_larger_box_leaves_the_smaller_one_alone():
    boxes = ((2, (4, 0, 2, 1)), (1, (0, 0, 6, 1)))
    first, predicted = one_row([1, 1, 1, 1, 2, 2]), one_row([1, 0, 0, 0, 0, 2])
    found = rounds.reset(predicted, first, boxes, min_iou=0.5)
    assert found[0].tolist() == [1, 1, 1, 1, 0, 2]


def test_a_reset_of_the_smaller_box_leaves_the_larger_one_alone():
    boxes = ((2, (4, 0, 2, 1)), (1, (0, 0, 6, 1)))
    first, predicted = one_row([1, 1, 1, 1, 2, 2]), one_row([1, 1, 1, 0, 0, 0])
    found = rounds.reset(predicted, first, boxes, min_iou=0.5)
    assert found[0].tolist() == [1, 1, 1, 0, 2, 2]


def test_a_class_stays_inside_its_boxes():
    """Class 2 is likeliest at the left pixel, where only a box of class 1 is."""
    probability = [[0.1, 0.1, 0.3], [0.2, 0.2, 0.5], [0.7, 0.7, 0.2]]
    boxes = ((1, (0, 0, 2, 1)), (2, (1, 0, 1, 1)))
    assert next_label(probability, [0, 0, 0], boxes) == [1, 2, 0]


def test_the_labels_of_an_image_are_background_and_the_classes_of_its_boxes():
    boxes = ((7, (0, 0, 1, 1)), (2, (0, 0, 1, 1)), (7, (2, 0, 1, 1)))
    assert rounds.boxed_classes(boxes).tolist() == [0, 2, 7]
    probability = [[0.2, 0.9, 0.1], [0.3, 0.0, 0.0], [0.5, 0.1, 0.9]]
    assert next_label(probability, [0, 0, 0], boxes) == [7, 0, 7]


def test_an_image_without_boxes_is_background():
    assert next_label([[1.0, 1.0]], [0, 0], ()) == [0, 0]


def test_the_output_grows_to_the_size_of_the_image():
    boxes = ((1, (0, 0, 4, 1)),)
    assert next_label([[0.9, 0.1], [0.1, 0.9]], [0, 0, 0, 0], boxes) == [0, 0, 1, 1]


def strong_crf(weight):
    """A CRF that joins pixels of one colour."""
    changes = {"iterations": 10, "bilateral_w": weight, "bilateral_sxy": 10.0,
               "bilateral_srgb": 10.0}  # fmt: skip
    return NO_CRF.model_copy(update=changes)


def test_the_crf_moves_no_class_out_of_its_boxes():
    """Every pixel has one colour, and most are of class 2."""
    probability = [[0.3] * 2 + [0.02] * 6, [0.6] * 2 + [0.0] * 6, [0.1] * 2 + [0.98] * 6]
    boxes = ((1, (0, 0, 2, 1)), (2, (2, 0, 6, 1)))
    found = next_label(probability, [0] * 8, boxes, crf=strong_crf(100.0))
    assert found[2:] == [2] * 6 and 2 not in found[:2]


def test_a_class_outside_its_boxes_has_no_vote_in_the_crf():
    """The network sees class 2 in the box of class 1, and background in the box of class 2."""
    probability = [[0.02] * 6 + [0.7] * 2, [0.08] * 6 + [0.0] * 2, [0.9] * 6 + [0.3] * 2]
    boxes = ((1, (0, 0, 6, 1)), (2, (6, 0, 2, 1)))
    found = next_label(probability, [0] * 8, boxes, crf=strong_crf(10.0))
    assert found == [1] * 6 + [0] * 2


def test_the_crf_comes_before_the_check():
    """One pixel of four is unsure, in the colour of the others: the CRF gives it to their class."""
    crf = strong_crf(10.0)
    image = np.repeat(one_row([200, 200, 200, 200, 0, 0, 0, 0]), 3, 0).T.reshape(1, 8, 3)
    probability = [[0.1, 0.1, 0.1, 0.55, 0.9, 0.9, 0.9, 0.9]]
    probability.append([1 - p for p in probability[0]])
    boxes = ((1, (0, 0, 4, 1)),)
    first = [1, 1, 1, 1, 0, 0, 0, 0]
    assert next_label(probability, first, boxes, image=image)[3] == 0
    assert next_label(probability, first, boxes, image=image, crf=crf)[3] == 1
    everywhere = [[1 - p for p in row] for row in probability]
    assert next_label(everywhere, first, boxes, image=image, crf=crf)[4:] == [0, 0, 0, 0]


def test_the_check_uses_the_limit_of_the_params():
    probability, boxes = [[0.1, 0.9, 0.9, 0.9], [0.9, 0.1, 0.1, 0.1]], ((1, (0, 0, 4, 1)),)
    assert next_label(probability, [1, 1, 1, V], boxes, min_iou=0.25) == [1, 0, 0, 0]
    assert next_label(probability, [1, 1, 1, V], boxes, min_iou=0.26) == [1, 1, 1, V]
