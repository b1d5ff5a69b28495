import numpy as np
import pytest

from pipeline import crf
from pipeline.blocks import Crf
from pipeline.errors import UserError

RULE = {
    "iterations": 5, "smooth_w": 3, "smooth_sxy": 3,
    "bilateral_w": 4, "bilateral_sxy": 30, "bilateral_srgb": 5,
}  # fmt: skip


def test_zero_weights_return_the_input(rng):
    probability = rng.dirichlet([1, 1, 1], (12, 9)).transpose(2, 0, 1).astype(np.float32)
    image = rng.integers(0, 255, (12, 9, 3), dtype=np.uint8)
    rule = Crf(**RULE | {"smooth_w": 0, "bilateral_w": 0})
    out = crf.dense_crf(image, crf.energy_of(probability), rule)
    np.testing.assert_allclose(out, probability, atol=1e-4)


def test_marginals_sum_to_one_and_a_read_only_image_will_do(rng):
    image = rng.integers(0, 255, (12, 9, 3), dtype=np.uint8)
    image.flags.writeable = False
    out = crf.dense_crf(image, rng.random((4, 12, 9)).astype(np.float32), Crf(**RULE))
    np.testing.assert_allclose(out.sum(0), 1, atol=1e-4)


def test_smoothing_removes_a_lone_pixel():
    image = np.full((21, 21, 3), 128, np.uint8)
    p = np.full((2, 21, 21), 0.2, np.float32)
    p[0] = 0.8
    p[:, 10, 10] = (0.3, 0.7)
    assert crf.dense_crf(image, crf.energy_of(p), Crf(**RULE))[0, 10, 10] > 0.9


def test_edge_follows_the_image():
    image = np.zeros((20, 30, 3), np.uint8)
    image[:, 15:] = 255
    p = np.full((2, 20, 30), 0.5, np.float32)
    p[0, :, :4], p[1, :, :4] = 0.95, 0.05
    p[0, :, -4:], p[1, :, -4:] = 0.05, 0.95
    label = crf.dense_crf(image, crf.energy_of(p), Crf(**RULE)).argmax(0)
    assert (label[:, :15] == 0).all() and (label[:, 15:] == 1).all()


def test_label_without_crf_is_the_argmax_of_the_upsampled_logits(rng):
    logits = rng.normal(size=(3, 4, 5)).astype(np.float32)
    image = np.zeros((16, 20, 3), np.uint8)
    full = crf.upsample(logits, height_px=16, width_px=20)
    assert (crf.label_of(image, logits, None) == full.argmax(0)).all()


def test_no_iteration_leaves_the_unary(rng):
    probability = rng.dirichlet([1, 1, 1], (12, 9)).transpose(2, 0, 1).astype(np.float32)
    image = rng.integers(0, 255, (12, 9, 3), dtype=np.uint8)
    none = Crf(**RULE | {"iterations": 0})
    out = crf.dense_crf(image, crf.energy_of(probability), none)
    np.testing.assert_allclose(out, probability, atol=1e-6)
    logits = rng.normal(size=(3, 4, 5)).astype(np.float32)
    assert (crf.label_of(image, logits, none) == crf.label_of(image, logits, None)).all()


def test_an_unknown_set_is_named():
    with pytest.raises(UserError, match=r"no set 'x'; there are a"):
        crf.chosen({"a": Crf(**RULE)}, "x")


def test_softmax_does_not_overflow():
    out = crf.softmax(np.array([[[1e4]], [[0.0]]], np.float32))
    assert np.isfinite(out).all() and out[0, 0, 0] == 1


def test_labels_that_are_nowhere_likely_take_no_part(rng, monkeypatch):
    image = rng.integers(0, 255, (24, 20, 3), dtype=np.uint8)
    logits = np.full((9, 6, 5), -12, np.float32)
    logits[[0, 3, 7]] = rng.normal(size=(3, 6, 5))
    seen, whole = [], crf.dense_crf
    monkeypatch.setattr(crf, "dense_crf", lambda *args: seen.append(args[1]) or whole(*args))
    few = crf.label_of(image, logits, Crf(**RULE))
    monkeypatch.setattr(crf, "PRESENT", 0.0)
    assert (few == crf.label_of(image, logits, Crf(**RULE))).all()
    assert [len(energy) for energy in seen] == [3, 9]
    assert set(np.unique(few)) <= {0, 3, 7} and few.dtype == np.uint8


def test_an_image_of_one_likely_label_needs_no_crf(monkeypatch):
    monkeypatch.setattr(crf, "dense_crf", None)
    logits = np.zeros((3, 6, 5), np.float32)
    logits[2] = 20
    out = crf.label_of(np.zeros((12, 10, 3), np.uint8), logits, Crf(**RULE))
    assert out.shape == (12, 10) and (out == 2).all()


def test_a_network_that_knows_nothing_leaves_every_label_in():
    label = crf.label_of(
        np.zeros((8, 8, 3), np.uint8), np.zeros((120, 2, 2), np.float32), Crf(**RULE)
    )
    assert label.shape == (8, 8)
