"""The judgement on an image, by hand."""

import numpy as np
import pytest

from pipeline.core.arrays import VOID
from pipeline.report import judging
from pipeline.report.judging import Labels, judge


def row(*values):
    return np.array([values], np.uint8)


TRUTH = row(0, 0, 1, 1, 1, 1, 2, VOID)


def labels(**changes):
    """An image with the tags 1 and 2 on which every link is right."""
    right = {
        "probability_K": np.array([0.9, 0.8]), "tags": frozenset({1, 2}),
        "saliency": TRUTH > 0, "seed": TRUTH, "guide": TRUTH, "prediction": TRUTH, "truth": TRUTH,
    }  # fmt: skip
    return Labels(**(right | changes))


def test_an_image_on_which_all_is_right():
    found = judge(labels())
    assert found.values == (80.0, 100.0, 100.0, 100.0, 100.0)
    assert found.kind == "right" and found.failed is None and found.parts == (100.0, 0, 0, 0)
    assert found.classes == (1, 2) and found.score == 100


@pytest.mark.parametrize("label, parts, kind", [
    (row(1, 1, 1, 1, 1, 1, 2, 0), (71.4, 28.6, 0, 0), "false positive"),
    (row(0, 0, 0, 0, 1, 1, 2, 1), (60.0, 0, 40.0, 0), "false negative"),
    (row(0, 0, 2, 2, 2, 2, 2, 1), (20.0, 0, 0, 80.0), "wrong class"),
    (row(0, 0, 0, 0, 0, 0, 0, 0), (0, 0, 100.0, 0), "false negative"),
])  # fmt: skip
def test_the_largest_kind_of_error_names_the_image(label, parts, kind):
    """Void pixels of the truth, such as the last one, never count."""
    found = judge(labels(prediction=label))
    assert found.parts == parts and found.kind == kind and found.score == parts[0]


def test_the_first_link_below_50_has_failed():
    bad = row(0, 0, 0, 0, 0, 0, 2, 0)  # right on one of five object pixels
    assert judge(labels(prediction=bad)).failed == "prediction"
    assert judge(labels(guide=bad, prediction=bad)).failed == "guide"
    assert judge(labels(saliency=bad > 0, guide=bad, prediction=bad)).failed == "saliency"
    assert judge(labels(seed=row(2, 2, 2, 0, 0, 0, 2, 0), prediction=bad)).failed == "seeds"
    weak = np.array([0.49, 0.9])
    assert judge(labels(probability_K=weak, guide=bad, prediction=bad)).failed == "classifier"


def test_a_brought_mask_disagrees_on_the_pixels_that_have_two_classes():
    """6 of the 7 pixels that are void in neither; without one of the two there is no answer."""
    guide, mask = row(0, 0, 1, 1, 1, 1, VOID, 2, VOID), row(1, 2, 0, 2, 1, 1, 1, 1, VOID)
    assert judging.disagreement(guide, mask) == 71.4
    assert judge(labels(guide=guide[:, :8], brought=mask[:, :8])).apart == 71.4
    assert judge(labels()).apart is None and judge(labels(guide=None, brought=mask)).apart is None
    assert judging.disagreement(row(VOID), row(1)) is None


def test_an_image_that_came_out_well_has_no_failed_link():
    bad = row(0, 0, 0, 0, 0, 0, 2, 0)
    assert judge(labels(guide=bad, probability_K=np.array([0.1, 0.1]))).failed is None


def test_without_a_prediction_the_guide_label_counts():
    bad = row(0, 0, 0, 0, 0, 0, 2, 0)
    found = judge(labels(guide=bad, prediction=None))
    assert found.score == 20 and found.failed == "guide" and found.kind == "false negative"


def test_seeds_need_not_cover_an_object_but_must_exist():
    assert judge(labels(seed=row(0, 0, 1, 0, 0, 0, 0, 0))).values[1] == 100
    assert judge(labels(seed=row(0, 1, 1, 2, 0, 0, 0, 2))).values[1] == pytest.approx(33.3)
    assert judge(labels(seed=row(0, 0, 0, 0, 0, 0, 0, 0))).values[1] == 0
    nothing = row(0, 0, 0, 0, 0, 0, 0, 0)
    assert judge(labels(seed=nothing, truth=nothing)).values[1] == 100


@pytest.mark.parametrize("label, value, kind", [
    (row(1, 2), 100.0, "agrees with its tags"),
    (row(1, 0), 50.0, "tag without pixels"),
    (row(1, 3), 33.3, "tag without pixels"),
    (row(1, 2, 3), 66.7, "class without its tag"),
    (None, None, "not labelled"),
])  # fmt: skip
def test_without_a_mask_the_tags_judge(label, value, kind):
    found = judge(labels(truth=None, guide=label, prediction=None, saliency=None))
    assert found.values[3] == value and found.kind == kind and found.parts == ()
    assert found.values[2] is None


def test_an_image_without_tags_has_no_value_of_the_classifier():
    none = np.zeros(0)
    empty = labels(tags=frozenset(), probability_K=none, truth=None, prediction=row(0, 0))
    assert judge(empty).values[0] is None and judge(empty).score == 100
    assert judge(empty).kind == "agrees with its tags"


def test_an_image_without_objects_is_right_if_nothing_is_labelled():
    nothing = row(0, 0, VOID)
    assert judging.shares(nothing, nothing) == (100.0, 0.0, 0.0, 0.0)
    assert judging.shares(row(0, 1, 1), nothing) == (0.0, 100.0, 0.0, 0.0)
