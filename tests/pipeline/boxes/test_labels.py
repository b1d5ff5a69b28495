"""Labels from boxes, on tiny pictures by hand."""

import numpy as np
import pytest

from pipeline.boxes import labels
from pipeline.boxes.config import BoxI, GrabCutPlus
from pipeline.core.arrays import VOID
from pipeline.core.config import NoOptions

V = VOID
TWO = ((2, (1, 1, 3, 2)), (1, (0, 0, 5, 4)))  # the smaller one is named first
ONE_CHANCE = (0, "a")


def vote(**changes):
    """Options of GrabCut+ with round numbers."""
    values = {"iterations": 1, "runs": 5, "shift": 0.0, "foreground": 0.8, "background": 0.2,
              "min_fill": 0.1}  # fmt: skip
    return GrabCutPlus(**values | changes)


def test_box_fills_with_the_smaller_box_on_top():
    assert labels.fill((5, 6), TWO).tolist() == [
        [1, 1, 1, 1, 1, 0],
        [1, 2, 2, 2, 1, 0],
        [1, 2, 2, 2, 1, 0],
        [1, 1, 1, 1, 1, 0],
        [0, 0, 0, 0, 0, 0],
    ]
    assert labels.fill((5, 6), TWO[::-1]).tolist() == labels.fill((5, 6), TWO).tolist()


def test_size_decides_which_box_is_on_top_and_not_the_class():
    boxes = ((1, (1, 0, 1, 1)), (2, (0, 0, 3, 1)))
    label = labels.fill((1, 3), boxes)
    assert label.tolist() == [[2, 1, 2]] and label.dtype == np.uint8
    inner = labels.fill_inner((1, 3), boxes, share=1.0)
    assert inner.tolist() == [[2, 1, 2]] and inner.dtype == np.uint8


def test_of_equal_boxes_the_last_is_on_top():
    equal = ((1, (0, 0, 2, 1)), (2, (1, 0, 2, 1)))
    assert labels.fill((1, 3), equal).tolist() == [[1, 2, 2]]


def test_box_i_keeps_the_class_in_the_middle_and_void_around_it():
    """A quarter of 4 x 4 px is 2 x 2 px, in the middle."""
    found = labels.fill_inner((5, 6), ((3, (1, 0, 4, 4)),), share=0.25)
    assert found.tolist() == [
        [0, V, V, V, V, 0],
        [0, V, 3, 3, V, 0],
        [0, V, 3, 3, V, 0],
        [0, V, V, V, V, 0],
        [0, 0, 0, 0, 0, 0],
    ]


def test_box_i_puts_the_ring_of_the_smaller_box_on_top_too():
    boxes = ((1, (0, 0, 6, 4)), (2, (2, 0, 4, 4)))
    assert labels.fill_inner((4, 6), boxes, share=0.25).tolist() == [
        [V, V, V, V, V, V],
        [V, 1, V, 2, 2, V],
        [V, 1, V, 2, 2, V],
        [V, V, V, V, V, V],
    ]


def test_box_i_keeps_a_fifth_of_a_large_box_and_at_least_a_pixel_of_a_small_one():
    large = labels.fill_inner((200, 300), ((1, (20, 10, 250, 180)),), share=0.2)
    assert (large == 1).sum() == pytest.approx(0.2 * 250 * 180, rel=0.01)
    assert (large == V).sum() + (large == 1).sum() == 250 * 180
    assert labels.fill_inner((1, 3), ((1, (1, 0, 1, 1)),), share=0.2).tolist() == [[0, 1, 0]]


@pytest.fixture
def runs(monkeypatch):
    """The masks that GrabCut gives, one after another, and the boxes that it gets."""
    queue, given = [], []

    def next_mask(image, boxes, *, iterations):
        given.append(boxes)
        return np.array(queue.pop(0), bool)

    monkeypatch.setattr(labels, "grabcut", next_mask)
    return queue, given


def test_grabcut_plus_is_void_where_the_runs_disagree(runs):
    """Of 5 runs: 5 or 4 give the class, 3, 2 or 1 give void, none gives background."""
    queue, given = runs
    queue += [[[1, 1, 1, 1, 1, 0, 1]], [[1, 1, 1, 1, 0, 0, 1]], [[1, 1, 1, 0, 0, 0, 1]],
              [[1, 1, 0, 0, 0, 0, 1]], [[1, 0, 0, 0, 0, 0, 1]]]  # fmt: skip
    image, boxes = np.zeros((1, 7, 3), np.uint8), ((3, (0, 0, 6, 1)),)
    found = labels.grabcut_plus(image, boxes, vote(), chance=ONE_CHANCE)
    assert found.tolist() == [[3, 3, V, V, V, 0, 0]]  # the last pixel is outside the box
    assert given == [[(0, 0, 6, 1)]] * 5


def test_grabcut_plus_runs_once_for_all_boxes_of_a_class_and_paints_smaller_ones_last(runs):
    queue, given = runs
    queue += [[[1, 1, 1, 1, 0, 1]], [[0, 0, 1, 0, 0, 0]]]  # of class 1, then of class 2
    boxes = ((2, (1, 0, 3, 1)), (1, (0, 0, 4, 1)), (1, (5, 0, 1, 1)))
    found = labels.grabcut_plus(
        np.zeros((1, 6, 3), np.uint8), boxes, vote(runs=1), chance=ONE_CHANCE
    )
    assert found.tolist() == [[1, 1, 2, 1, 0, 1]]
    assert given == [[(0, 0, 4, 1), (5, 0, 1, 1)], [(1, 0, 3, 1)]]


@pytest.mark.parametrize("min_fill, expected", [(0.5, [1, 0, 0]), (0.51, [V, V, 0])])
def test_a_box_that_grabcut_hardly_fills_is_void(runs, min_fill, expected):
    runs[0].append([[1, 0, 0]])
    options = vote(runs=1, min_fill=min_fill)
    image, boxes = np.zeros((1, 3, 3), np.uint8), ((1, (0, 0, 2, 1)),)
    assert labels.grabcut_plus(image, boxes, options, chance=ONE_CHANCE).tolist() == [expected]


def test_grabcut_plus_moves_each_side_by_a_share_of_the_box(runs):
    queue, given = runs
    queue += [np.ones((1, 1))] * 400
    image, boxes = np.zeros((1, 1, 3), np.uint8), ((1, (1000, 2000, 200, 100)),)
    options = vote(runs=200, shift=0.05)
    labels.grabcut_plus(image, boxes, options, chance=(7, "a"))
    sides = np.array([(x, x + w, y, y + h) for ((x, y, w, h),) in given])
    assert np.abs(sides - (1000, 1200, 2000, 2100)).max(0).tolist() == [10, 10, 5, 5]
    assert np.abs(sides.mean(0) - (1000, 1200, 2000, 2100)).max() < 1.5
    first = list(given)
    given.clear()
    labels.grabcut_plus(image, boxes, options, chance=(7, "a"))
    assert given == first  # the same seed and image
    for chance in ((8, "a"), (7, "b")):
        given.clear()
        queue += [np.ones((1, 1))] * 200
        labels.grabcut_plus(image, boxes, options, chance=chance)
        assert given != first


def test_grabcut_plus_segments_the_object_of_a_picture():
    """A red disc on green: the disc is the class, its surroundings are background."""
    y, x = np.mgrid[:60, :80]
    distance = np.hypot(y - 30, x - 40)
    image = np.where((distance < 15)[..., None], (200, 40, 40), (40, 160, 60)).astype(np.uint8)
    image += np.random.default_rng(0).integers(0, 10, image.shape, dtype=np.uint8)
    found = labels.first_label(
        image, ((4, (22, 12, 36, 36)),), vote(iterations=5, shift=0.05), chance=ONE_CHANCE
    )
    assert (found[distance < 14] == 4).all() and (found[distance > 16] == 0).all()


def test_the_options_choose_the_kind_of_label():
    image = np.zeros((5, 6, 3), np.uint8)
    filled = labels.first_label(image, TWO, NoOptions(), chance=ONE_CHANCE)
    inner = labels.first_label(image, TWO, BoxI(inner_share=0.2), chance=ONE_CHANCE)
    assert (filled == labels.fill((5, 6), TWO)).all()
    assert (inner == labels.fill_inner((5, 6), TWO, share=0.2)).all()


def test_an_image_without_boxes_is_background():
    image = np.zeros((2, 3, 3), np.uint8)
    for options in (NoOptions(), BoxI(inner_share=0.2), vote()):
        assert not labels.first_label(image, (), options, chance=ONE_CHANCE).any()
