"""Reliability, ECE and temperatures: by hand, against loops, and of sets that are calibrated."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, softmax

from pipeline.core import formats
from pipeline.core.arrays import VOID
from pipeline.core.samples import Sample
from pipeline.scores.calibration import calibrated, reliability


def test_a_calibrated_set_has_almost_no_error(rng):
    confidence = rng.random(200_000)
    counts = reliability.count(confidence, rng.random(200_000) < confidence)
    assert reliability.ece(counts) < 0.005


def test_an_overconfident_set_by_hand():
    """Ten answers at 0.9, of which six are right."""
    counts = reliability.count(np.full(10, 0.9), np.arange(10) < 6)
    assert reliability.ece(counts) == pytest.approx(0.3)
    assert reliability.diagram(counts) == [("90.00", "60.00", 10)]


def test_errors_of_two_bins_do_not_cancel():
    """Too sure by 0.2 at 0.9, too unsure by 0.2 at 0.3; three quarters of the answers at 0.9."""
    confidence = np.array([0.9] * 30 + [0.3] * 10)
    right = np.array([True] * 21 + [False] * 9 + [True] * 5 + [False] * 5)
    assert reliability.ece(reliability.count(confidence, right)) == pytest.approx(0.2)


def test_ece_equals_a_loop_over_bins(rng):
    confidence, right = rng.random(500), rng.random(500) < 0.4
    expected = 0.0
    for b in range(15):
        inside = [
            i for i in range(500) if b / 15 <= confidence[i] and (confidence[i] < (b + 1) / 15)
        ]
        if inside:
            gap = np.mean(confidence[inside]) - np.mean(right[inside])
            expected += len(inside) / 500 * abs(gap)
    counts = reliability.count(confidence, right)
    assert reliability.ece(counts) == pytest.approx(expected)
    halves = [reliability.count(confidence[i::2], right[i::2]) for i in (0, 1)]
    np.testing.assert_allclose(halves[0] + halves[1], counts)


def test_certain_answers_are_in_the_last_bin_and_no_answers_have_no_error():
    counts = reliability.count(np.array([0.0, 1.0]), np.array([False, True]))
    assert counts[0, 0] == counts[0, -1] == 1 and reliability.ece(counts) == 0
    assert math.isnan(reliability.ece(counts * 0)) and reliability.diagram(counts * 0) == []


@pytest.mark.parametrize("true", [0.5, 3])
def test_the_temperature_that_made_the_answers_comes_back(rng, true):
    logits = 4 * rng.standard_normal(40_000)
    right = rng.random(40_000) < expit(logits / true)
    fitted = reliability.fit_independent(expit(logits), right)
    assert fitted == pytest.approx(true, rel=0.05)
    scaled = reliability.count(reliability.scaled(expit(logits), fitted), right)
    assert reliability.ece(scaled) < 0.01


@pytest.mark.parametrize("true", [0.5, 3])
def test_the_temperature_of_a_softmax_comes_back(rng, true):
    logits = 4 * rng.standard_normal((20_000, 4))
    chance = softmax(logits / true, axis=1).cumsum(axis=1)
    truth = (rng.random((20_000, 1)) > chance).sum(axis=1).clip(0, 3).astype(np.uint8)
    assert reliability.fit_softmax(logits, truth) == pytest.approx(true, rel=0.05)


def test_the_temperature_has_the_least_cross_entropy(rng):
    logits, truth = rng.standard_normal((50, 3)), rng.integers(0, 3, 50).astype(np.uint8)
    logits[np.arange(50), truth] += 1

    def cross_entropy(temperature):
        return -log_softmax(logits / temperature, axis=1)[np.arange(50), truth].mean()

    best = minimize_scalar(cross_entropy, bounds=(0.05, 20), method="bounded").x
    assert reliability.fit_softmax(logits, truth) == pytest.approx(best, rel=1e-3)


def test_a_temperature_stays_in_its_range():
    probability, right = np.array([0.6, 0.4]), np.array([True, False])
    assert reliability.fit_independent(probability, right) == pytest.approx(0.05)
    assert reliability.fit_independent(probability, ~right) == pytest.approx(20)


def test_scaling_by_hand():
    """At temperature 2, the odds 9 to 1 become 3 to 1; probabilities 0 and 1 stay nearly so."""
    scaled = reliability.scaled(np.array([0.9, 0.5, 0.1]), 2)
    assert scaled == pytest.approx([0.75, 0.5, 0.25])
    assert reliability.scaled(np.array([0.0, 1.0]), 1) == pytest.approx([0, 1], abs=1e-5)


def test_every_fifth_train_image_fits_temperatures():
    samples = [
        Sample(f"{i:02}", Path(), "val" if i == 3 else "train", (), 1, 1, "")
        for i in (11, *range(11))
    ]
    assert calibrated.fit_ids(samples) == {"00", "06", "11"}


def test_a_segmenters_void_pixels_neither_count_nor_fit(tmp_path):
    """Of the four known pixels that fit, three are of the class that has three quarters."""
    truth = np.zeros((32, 48), np.uint8)
    truth[:, 32:] = VOID
    truth[8, [8, 24]] = truth[24, 8] = 1
    samples = [Sample(f"{i}", Path(), s, (), 32, 48, "") for i, s in enumerate(("train", "val"))]
    for s in samples:
        formats.write_label(tmp_path / f"mask{s.id}.png", truth)
        logits = np.array([0, math.log(3)], np.float32).reshape(2, 1, 1)
        formats.write_logits(tmp_path / f"{s.id}.npz", logits)
    scored = [(s, tmp_path / f"mask{s.id}.png") for s in samples]
    found = calibrated.segmenter(tmp_path, samples, scored, title="test")
    assert found.temperature == pytest.approx(1, abs=2e-3)  # logits are float16
    for counts in (found.plain["val"], found.scaled["val"]):
        assert counts[0].sum() == 32 * 32 and counts[2].sum() == 3
    assert found.scores()["val"]["ECE"] == pytest.approx(100 * (0.75 - 3 / 1024), abs=0.02)
    only_val = calibrated.segmenter(tmp_path, samples, scored[1:], title="test")
    assert only_val.temperature is None and set(only_val.scores()) == {"val"}
    assert not only_val.scaled and only_val.diagram() == found.diagram()
