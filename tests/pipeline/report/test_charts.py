"""Line charts, tables and the picture of the chain, as numbers."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.core.samples import Sample
from pipeline.report import charts, picture, tallies
from tests.pipeline.report.test_headline import SCORES


def chart(lines, **options):
    return charts.line_chart("t", lines, x_label="x", y_label="y", **options)


def test_points_lie_where_their_values_are():
    drawn = chart({"a": [(0, 0), (5, 50), (10, 100)]}, y_range=(0, 100))
    left, right = charts.LEFT, charts.WIDTH - charts.RIGHT
    bottom, top = charts.HEIGHT - charts.BOTTOM, charts.TOP
    middle = ((left + right) / 2, (bottom + top) / 2)
    assert [(x, y) for x, y, _ in drawn.lines[0].dots] == [(left, bottom), middle, (right, top)]
    assert drawn.lines[0].path == "M56.0 222.0L242.0 116.0L428.0 10.0"
    assert drawn.lines[0].dots[1][2] == "a: 5, 50"


def test_ticks_are_round_and_inside_the_axis():
    assert charts.ticks(0, 100) == [0, 20, 40, 60, 80, 100]
    assert charts.ticks(0, 1.37) == [0, 0.25, 0.5, 0.75, 1, 1.25]
    assert charts.ticks(1, 1) == [1]


def test_a_chart_without_points_is_left_out_and_so_is_such_a_line():
    assert chart({"a": []}) is None
    assert [line.name for line in chart({"a": [], "b": [(1, 2)]}).lines] == ["b"]


@pytest.mark.parametrize("points", [[(1, 0)], [(1, 0), (2, 0)], [(3, 5)]])
def test_one_epoch_or_a_loss_of_0_can_be_drawn(points):
    assert "nan" not in chart({"a": points}).lines[0].path


def test_rows_without_a_number_give_no_point():
    rows = [{"x": "1", "y": "2.5"}, {"x": "2", "y": ""}, {"x": "3", "y": "nan"}, {"x": "4"}]
    assert charts.points(rows, "x", "y") == [(1.0, 2.5)]


def samples(*tags, split="train"):
    return [Sample(str(i), Path(), split, t, 1, 1, "") for i, t in enumerate(tags)]


def test_tags_that_occur_together_by_hand():
    found = tallies.cooccurrence(samples(("a", "b"), ("a",), ("b", "a"), ()), ["a", "b", "c"])
    assert found.values == [[1, 2, 0], [2, 0, 0], [0, 0, 0]]
    assert found.share[0] == [33.3, 66.7, 0.0] and found.share[2] == [0, 0, 0]


def test_images_of_each_class_by_split():
    both = samples(("a", "b"), ("a",)) + samples(("a",), split="val")
    found = tallies.class_balance(both, ["a", "b"])
    assert found == [("a", {"train": 2, "val": 1}), ("b", {"train": 1, "val": 0})]


def test_confusions_are_shares_of_the_true_class():
    pairs = [("a", "a")] * 3 + [("a", "void")] + [("b", "a")] * 5
    found = tallies.confusion([{"truth": t, "prediction": p} for t, p in pairs], ["a", "b", "c"])
    assert (found.rows, found.columns) == (["a", "b"], ["a", "b", "c", "void"])
    assert found.values == [[75.0, 0, 0, 25.0], [100.0, 0, 0, 0]]
    assert tallies.confusion([], ["a"]) is None


def test_intervals_of_the_classes_hold_their_iou():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 50, (40, 2, 3)) + np.array([[200, 0, 0], [0, 80, 0]])
    total = counts.sum(0)
    iou = [100 * total[i, i] / (total[i].sum() + total[:, i].sum() - total[i, i]) for i in (0, 1)]
    rows = [{"class": n, "iou": f"{v:.2f}"} for n, v in zip("ab", iou, strict=True)]
    found = tallies.class_iou(rows, counts)
    assert all(c.low < c.iou < c.high and c.high - c.low < 20 for c in found)
    constant = tallies.class_iou(rows, np.repeat(counts[:1], 9, axis=0))
    assert all(c.low == c.high for c in constant)
    alone = tallies.class_iou([*rows, {"class": "c", "iou": "nan"}], None)
    assert [(c.name, c.low) for c in alone] == [("a", None), ("b", None)]


@pytest.mark.parametrize("kind", ["wide", "narrow"])
def test_the_boxes_of_the_chain_do_not_overlap_and_lie_inside_the_picture(kind):
    drawn = picture.draw(SCORES, "guide", ["seeds", "seeds", None, "prediction"], kind=kind)
    for box in drawn.boxes:
        assert 0 < box.x < drawn.size[0] - picture.WIDTH
        assert 0 < box.y < drawn.size[1] - picture.HEIGHT
        for other in drawn.boxes:
            apart = abs(box.x - other.x) >= picture.WIDTH, abs(box.y - other.y) >= picture.HEIGHT
            assert box is other or any(apart)
    assert drawn.size[0] < (1200 if kind == "wide" else 360)


def test_a_box_has_the_score_of_its_link_and_the_images_that_fail_first_there():
    failed = ["seeds", "seeds", None, "prediction"]
    boxes = {b.key: b for b in picture.draw(SCORES, "guide", failed, kind="wide").boxes}
    assert [b.value for b in boxes.values()] == [88.8, 39.4, 64.4, None, 61.5, 56.4, 60.9]
    assert boxes["seeds"].failed == 2 and boxes["refined"].failed == 1
    assert boxes["seeds"].chance == 14.0 and boxes["saliency"].chance is None


def test_without_masks_a_box_has_the_score_by_tags():
    scores = {"guide": {"train": {"tags_found": 91.0}}, "classifier": {"train": {"mAP": 97.0}}}
    boxes = {b.key: b for b in picture.draw(scores, "guide", [], kind="wide").boxes}
    assert (boxes["guide"].score, boxes["guide"].value) == ("tags_found", 91.0)
    assert boxes["guide"].split == "train" and boxes["guide"].chance is None
    assert boxes["seeds"].value is None
