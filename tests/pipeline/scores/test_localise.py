import numpy as np
import pytest
from scipy import ndimage

from pipeline.core.arrays import VOID
from pipeline.scores.seed import localise
from pipeline.scores.shared import metrics


def blob(*boxes, size=(60, 80)):
    """A mask of filled boxes (left, top, right, bottom)."""
    mask = np.zeros(size, bool)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return mask


def test_components_are_boxes_with_exclusive_ends():
    boxes, area = localise.components(blob((5, 10, 15, 30), (40, 2, 41, 3)))
    assert sorted(map(tuple, boxes)) == [(5, 10, 15, 30), (40, 2, 41, 3)]
    assert sorted(area) == [1, 200]
    assert boxes.dtype == area.dtype == np.int64
    assert localise.components(np.zeros((4, 4), bool))[0].shape == (0, 4)


def test_components_equal_scipy(rng):
    mask = rng.random((40, 50)) < 0.3
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    theirs = {(x.start, y.start, x.stop, y.stop) for y, x in ndimage.find_objects(labels)}
    boxes, area = localise.components(mask)
    assert {tuple(b) for b in boxes} == theirs and len(boxes) == count
    assert area.sum() == mask.sum()


def test_box_goes_round_the_largest_part_not_the_highest():
    heat = 0.5 * blob((10, 10, 30, 30)) + 1.0 * blob((50, 40, 55, 45)) + 0.19 * blob((0, 0, 80, 5))
    assert localise.box(heat).tolist() == [10, 10, 30, 30]
    heat[heat == 0.5] = 0.15  # below a fifth of the maximum
    assert localise.box(heat).tolist() == [50, 40, 55, 45]


def test_a_fifth_of_the_maximum_is_the_objects():
    assert localise.box(np.array([[0.09, 0.1, 0.5, 0.1, 0.1]])).tolist() == [1, 0, 5, 1]


def test_overlap_equals_counting_pixels(rng):
    boxes = np.sort(rng.integers(0, 60, (30, 2, 2)), axis=1).reshape(30, 4)
    boxes[:, 2:] += 1
    first = blob(boxes[0])
    expected = [(first & blob(b)).sum() / (first | blob(b)).sum() for b in boxes]
    assert localise.overlap(boxes[0], boxes) == pytest.approx(expected)


def test_a_box_is_right_from_half_an_overlap_on():
    truth = np.array([[0, 0, 10, 20], [40, 0, 60, 20]])
    assert localise.box_right(1.0 * blob((40, 0, 60, 10)), truth)  # IoU 1/2
    assert not localise.box_right(1.0 * blob((40, 0, 60, 9)), truth)
    assert not localise.box_right(np.zeros((60, 80)), np.array([[0, 0, 80, 60]]))


@pytest.mark.parametrize("point, right", [
    ((30, 20), True), ((12, 20), True), ((11, 20), False), ((57, 20), True), ((58, 20), False),
    ((30, 2), True), ((30, 1), False), ((30, 47), True), ((30, 48), False),
])  # fmt: skip
def test_a_point_is_right_up_to_18_px_from_a_box(point, right):
    """From any one of the boxes; the other one is far off."""
    heat = np.zeros((60, 80))
    heat[point[1], point[0]] = 1
    found = localise.point_right(heat, np.array([[30, 20, 40, 30], [500, 500, 510, 510]]))
    assert found is right


def test_a_map_of_zeros_points_nowhere():
    """Its first pixel is its highest, and lies in a box at the corner."""
    corner = np.array([[0, 0, 10, 10]])
    assert not localise.point_right(np.zeros((60, 80)), corner)
    assert localise.point_right(np.eye(60, 80), corner)


def test_a_single_pixel_makes_a_class_present():
    truth = np.zeros((5, 6), np.uint8)
    truth[2, 3] = 1
    marks = localise.judge(np.zeros((0, 5, 6)), np.array([], np.uint8), truth, classes=4)
    assert marks.tolist() == [[False] * 4, [False] * 4, [True, False, False, False], [False] * 4]
    assert marks.dtype == bool


def test_judge_marks_boxes_points_presence_and_void_tags():
    truth = np.zeros((60, 80), np.uint8)
    truth[blob((0, 0, 20, 20))], truth[blob((40, 40, 60, 60))] = 1, 3
    truth[0, 70:] = VOID
    maps = np.stack([1.0 * blob((0, 0, 20, 20)), 1.0 * blob((38, 0, 42, 30)), np.ones((60, 80))])
    box, point, present, ignored = localise.judge(
        maps, np.array([1, 3, 2], np.uint8), truth, classes=4
    )
    assert box.tolist() == [True, False, False, False]
    assert point.tolist() == [True, False, False, False]
    assert present.tolist() == [True, False, True, False]
    assert ignored.tolist() == [False, True, False, False]


SCORE = np.array([[0.9, 0.8, 0.1], [0.2, 0.7, 0.6], [0.5, 0.4, 0.3]])


def test_localisation_error_by_hand():
    """Three images: best class right; second best right; none right."""
    right = np.array([[1, 0, 0], [0, 0, 1], [0, 0, 0]], bool)
    assert localise.error(SCORE, right, best=1) == pytest.approx(2 / 3)
    assert localise.error(SCORE, right, best=2) == pytest.approx(1 / 3)
    assert localise.error(SCORE, right, best=5) == pytest.approx(1 / 3)
    assert np.isnan(localise.error(SCORE[:0], right[:0], best=1))


def test_of_equal_scores_the_first_classes_count():
    score = np.tile([0.0, 1.0], 50)[None]  # in order: classes 1, 3, 5, ...
    right = np.arange(100)[None] == 5
    assert localise.error(score, right, best=2) == 1 and localise.error(score, right, best=3) == 0


def test_pointwise_ap_with_every_point_right_is_the_classifiers_ap():
    present = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0]], bool)
    ap = localise.pointwise_ap(SCORE, present, present, np.zeros((3, 3), bool))
    assert ap[:2].tolist() == [
        metrics.average_precision(SCORE[:, k], present[:, k]) for k in range(2)
    ]
    assert np.isnan(ap[2])


def test_pointwise_ap_by_hand():
    """A missed object is a wrong answer and an object not found; void tags do not count."""
    present = np.array([[1], [1], [0], [0]], bool)
    right = np.array([[0], [1], [0], [0]], bool)
    score = np.array([[0.9], [0.8], [0.7], [0.95]])
    none = np.zeros((4, 1), bool)
    assert localise.pointwise_ap(score, right, present, none)[0] == pytest.approx(1 / 3 / 2)
    ignored = np.array([[0], [0], [0], [1]], bool)
    assert localise.pointwise_ap(score, right, present, ignored)[0] == pytest.approx(1 / 2 / 2)
