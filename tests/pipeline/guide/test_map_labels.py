"""Labels from the class maps of predicted classes."""

import numpy as np
import pytest

from pipeline.crf.config import Crf
from pipeline.guide import map_labels, seed_rule

NONE = Crf(iterations=0, smooth_w=0, smooth_sxy=1, bilateral_w=0, bilateral_sxy=1, bilateral_srgb=1)
BY_COLOUR = Crf(
    iterations=10, smooth_w=0, smooth_sxy=1, bilateral_w=10, bilateral_sxy=60, bilateral_srgb=5
)


@pytest.mark.parametrize("probability, expected", [
    ([0.1, 0.5, 0.9], [2, 3]),  # 0.5 counts
    ([0.1, 0.49, 0.3], [2]),  # none reaches it: the most probable one
    ([0.0, 0.0, 0.0], [1]),
    ([0.7, 0.6, 0.5], [1, 2, 3]),
])  # fmt: skip
def test_predicted_classes(probability, expected):
    given = np.array(probability)
    assert map_labels.predicted_classes(given).tolist() == expected
    assert given.tolist() == probability


def test_without_a_crf_it_is_the_seed_rule(rng):
    image = rng.integers(0, 255, (24, 36, 3), dtype=np.uint8)
    classes, maps = np.array([3, 7], np.uint8), rng.random((2, 6, 9)).astype(np.float32)
    maps[1] *= 5  # each map is divided by its own maximum
    for threshold in (0.0, 0.3, 0.8):
        label = map_labels.map_labels(image, maps, classes, threshold=threshold, crf=NONE)
        expected = seed_rule.seed_labels(
            maps, classes, threshold=threshold, height_px=24, width_px=36
        )
        assert label.dtype == np.uint8 and (label == expected).all()
        assert set(np.unique(expected)) >= {3, 7}


def test_a_map_without_positive_values_is_background(rng):
    image = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)
    maps, classes = -np.ones((1, 4, 4), np.float32), np.array([5], np.uint8)
    assert not map_labels.map_labels(image, maps, classes, threshold=0.2, crf=NONE).any()


def test_the_crf_extends_a_map_to_the_object_of_its_colour():
    """The map is high in the middle of a red square on blue; elsewhere it is below threshold."""
    image = np.full((40, 40, 3), (20, 20, 220), np.uint8)
    image[8:32, 8:32] = (220, 20, 20)
    square = np.zeros((40, 40), np.uint8)
    square[8:32, 8:32] = 4
    maps = np.full((1, 40, 40), 0.1, np.float32)
    maps[0, 10:30, 10:30] = 1
    options = {"threshold": 0.2, "crf": BY_COLOUR}
    label = map_labels.map_labels(image, maps, np.array([4], np.uint8), **options)
    assert (label == square).all()


def test_the_unary_is_each_value_divided_by_the_sum_of_all(monkeypatch):
    """Values 1, 0.5 and the background's 0.25 at one pixel: 4/7, 2/7, 1/7."""
    seen = []

    def keep(image_HW3, logits_KHW, crf):
        share = np.exp(logits_KHW)
        seen.append((share / share.sum(0))[:, 0, 0])
        return np.zeros(image_HW3.shape[:2], np.uint8)

    monkeypatch.setattr(map_labels.dense, "label_of", keep)
    maps = np.array([[[1.0, 0.0]], [[0.5, 1.0]]], np.float32)
    image, classes = np.zeros((1, 2, 3), np.uint8), np.array([1, 2], np.uint8)
    map_labels.map_labels(image, maps, classes, threshold=0.25, crf=BY_COLOUR)
    np.testing.assert_allclose(seen[0], np.array([1, 4, 2]) / 7, rtol=1e-6)
