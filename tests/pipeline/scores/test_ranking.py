"""How images are ranked for review, on tiny maps by hand."""

import numpy as np
import pytest

from pipeline.core.arrays import VOID as V
from pipeline.scores.review import ranking


def mask(*values):
    return np.array([values], bool)


def label(*values):
    return np.array([values], np.uint8)


def test_masks_without_a_common_pixel_are_apart_by_1_and_equal_ones_by_0():
    assert ranking.apart(mask(1, 1, 0), mask(0, 0, 1)) == 1
    assert ranking.apart(mask(1, 1, 0), mask(0, 1, 1)) == pytest.approx(2 / 3)
    assert ranking.apart(mask(1, 1, 0), mask(1, 1, 0)) == ranking.apart(mask(0), mask(0)) == 0


def test_void_is_no_foreground_and_counts_in_no_label():
    assert ranking.foreground(label(0, 1, V, 2)).tolist() == [[False, True, False, True]]
    assert ranking.labels_apart(label(1, V, 0), label(1, 2, 0), classes=3) == 0
    assert ranking.labels_apart(label(V), label(1), classes=3) == 0
    assert ranking.labels_apart(label(1, 0), label(2, 0), classes=3) == pytest.approx(2 / 3)


def test_entropy_is_1_for_equal_logits_and_0_for_certain_ones():
    assert ranking.entropy(np.full((4, 2, 2), 7.0)) == pytest.approx(1)
    certain = np.zeros((4, 2, 2))
    certain[1] = 1000
    assert ranking.entropy(certain) == pytest.approx(0)
    half = np.zeros((2, 1, 2))
    half[0, 0, 0] = 1000  # the other pixel does not know
    assert ranking.entropy(half) == pytest.approx(0.5)


def test_the_share_of_a_value_does_not_depend_on_its_scale():
    assert ranking.rank_shares([3, 1, 2, 2]).tolist() == [0.75, 0, 0.25, 0.25]
    assert ranking.rank_shares([0.3, 0.1, 0.2, 0.2]).tolist() == [0.75, 0, 0.25, 0.25]


def test_the_reason_is_the_measure_that_is_rarely_so_high():
    """All seeds differ much from the saliency, so 0.9 says little; an entropy of 0.2 is rare."""
    measures = [
        {"seed_saliency": 0.9, "entropy": 0.01},
        {"seed_saliency": 0.91, "entropy": 0.2},
        {"seed_saliency": 0.92, "entropy": 0.02},
        {"seed_saliency": 0.99},
    ]
    ranked = ranking.rank(measures)
    assert [i for i, _, _ in ranked] == [3, 1, 2, 0]
    assert ranked[0][1:] == (0.75, "seed_saliency")
    assert ranked[1][1:] == (pytest.approx((1 / 4 + 2 / 3) / 2), "entropy")


def test_a_measure_that_is_equal_everywhere_is_no_reason():
    ranked = ranking.rank([{"seed_saliency": 0.0, "entropy": e} for e in (0.1, 0.3, 0.2)])
    assert [(i, reason) for i, _, reason in ranked[:2]] == [(1, "entropy"), (2, "entropy")]


def test_equal_images_keep_their_order_and_those_without_a_measure_are_left_out():
    assert [i for i, _, _ in ranking.rank([{"entropy": 0.1}, {}, {"entropy": 0.1}])] == [0, 2]
