import numpy as np
import pytest

from pipeline.core.errors import UserError
from pipeline.core.maps import resize
from pipeline.crf import dense
from pipeline.crf.config import Crf

RULE = {
    "iterations": 5, "smooth_w": 3, "smooth_sxy": 3,
    "bilateral_w": 4, "bilateral_sxy": 30, "bilateral_srgb": 5,
}  # fmt: skip


def kernel(features_PF):
    """Gaussian weights (P, P) of all pairs of pixels, divided by the roots of both their sums."""
    apart = ((features_PF[:, None] - features_PF) ** 2).sum(-1)
    weight = np.exp(-apart / 2)
    root = np.sqrt(weight.sum(1))
    return weight / root / root[:, None]


def mean_field(image, energy, rule):
    """Every pixel with every other, where pydensecrf filters: Kraehenbuehl & Koltun, algorithm 1.

    Labels that differ cost the weight, so a label gains by the weight what speaks for it around.
    """
    count, height, width = energy.shape
    place = np.argwhere(np.ones((height, width))).astype(float)
    colour = image.reshape(-1, 3).astype(float)
    near = rule.smooth_w * kernel(place / rule.smooth_sxy)
    alike = np.hstack([place / rule.bilateral_sxy, colour / rule.bilateral_srgb])
    weights = near + rule.bilateral_w * kernel(alike)
    score = -energy.reshape(count, -1)
    q = np.exp(score) / np.exp(score).sum(0)
    for _ in range(rule.iterations):
        new = np.exp(score + q @ weights)
        q = new / new.sum(0)
    return q.reshape(count, height, width)


@pytest.mark.parametrize("change", [
    {}, {"iterations": 1}, {"iterations": 5}, {"smooth_w": 0.5}, {"smooth_w": 0},
    {"bilateral_w": 0}, {"bilateral_sxy": 60}, {"bilateral_srgb": 60}, {"smooth_sxy": 1},
], ids=str)  # fmt: skip
def test_marginals_equal_mean_field_over_all_pairs(rng, change):
    """pydensecrf's filter is off by 0.01 here; each change of a param moves more than that."""
    rule = Crf(**{"iterations": 2, "smooth_w": 1, "smooth_sxy": 2, "bilateral_w": 1.5,
                  "bilateral_sxy": 4, "bilateral_srgb": 20} | change)  # fmt: skip
    image = np.zeros((8, 10, 3), np.uint8)
    image[:, 5:] = 60
    image += rng.integers(0, 20, image.shape, dtype=np.uint8)
    energy = -np.log(rng.dirichlet([2, 2, 2], (8, 10)).transpose(2, 0, 1))
    expected = mean_field(image, energy, rule)
    found = dense.dense_crf(image, energy, rule)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=0.011)


def test_zero_weights_return_the_input(rng):
    probability = rng.dirichlet([1, 1, 1], (12, 9)).transpose(2, 0, 1).astype(np.float32)
    image = rng.integers(0, 255, (12, 9, 3), dtype=np.uint8)
    rule = Crf(**RULE | {"smooth_w": 0, "bilateral_w": 0})
    out = dense.dense_crf(image, dense.energy_of(probability), rule)
    np.testing.assert_allclose(out, probability, atol=1e-4)


def test_marginals_sum_to_one_and_a_read_only_image_will_do(rng):
    image = rng.integers(0, 255, (12, 9, 3), dtype=np.uint8)
    image.flags.writeable = False
    out = dense.dense_crf(image, rng.random((4, 12, 9)).astype(np.float32), Crf(**RULE))
    np.testing.assert_allclose(out.sum(0), 1, atol=1e-4)


def test_smoothing_removes_a_lone_pixel():
    image = np.full((21, 21, 3), 128, np.uint8)
    p = np.full((2, 21, 21), 0.2, np.float32)
    p[0] = 0.8
    p[:, 10, 10] = (0.3, 0.7)
    assert dense.dense_crf(image, dense.energy_of(p), Crf(**RULE))[0, 10, 10] > 0.9


def test_edge_follows_the_image():
    image = np.zeros((20, 30, 3), np.uint8)
    image[:, 15:] = 255
    p = np.full((2, 20, 30), 0.5, np.float32)
    p[0, :, :4], p[1, :, :4] = 0.95, 0.05
    p[0, :, -4:], p[1, :, -4:] = 0.05, 0.95
    label = dense.dense_crf(image, dense.energy_of(p), Crf(**RULE)).argmax(0)
    assert (label[:, :15] == 0).all() and (label[:, 15:] == 1).all()


def test_energies_by_hand():
    """0 counts as 1e-5; what rounding put above 1 counts as 1."""
    energy = dense.energy_of(np.array([[[0, 0.5, 1, 1.25]]]))
    assert energy.tolist() == [[[pytest.approx(v, rel=1e-6) for v in (11.512925, 0.6931472, 0, 0)]]]
    assert energy.dtype == np.float32


def test_label_without_crf_is_the_argmax_of_the_upsampled_logits():
    """Straight lines between the middles of two pixels: they cross at a quarter of the width."""
    logits = np.array([[[0, 4]], [[1, 1]]], np.float32)
    assert resize(logits, height_px=1, width_px=4).tolist() == [[[0, 1, 3, 4]], [[1] * 4]]
    label = dense.label_of(np.zeros((1, 8, 3), np.uint8), logits, None)
    assert label.tolist() == [[1, 1, 1, 0, 0, 0, 0, 0]] and label.dtype == np.uint8


def test_one_iteration_changes_a_label():
    """A lone pixel gives way to all that surround it, by the first iteration already."""
    logits = np.full((2, 9, 9), 0.5, np.float32)
    logits[0], logits[1, 4, 4] = 1, 1.5
    image = np.full((9, 9, 3), 128, np.uint8)
    assert dense.label_of(image, logits, None)[4, 4] == 1
    assert not dense.label_of(image, logits, Crf(**RULE | {"iterations": 1})).any()


def test_no_iteration_leaves_the_unary(rng):
    probability = rng.dirichlet([1, 1, 1], (12, 9)).transpose(2, 0, 1)
    image = rng.integers(0, 255, (12, 9, 3), dtype=np.uint8)
    none = Crf(**RULE | {"iterations": 0})
    out = dense.dense_crf(image, -np.log(probability), none)
    np.testing.assert_allclose(out, probability, atol=1e-6)
    assert out.dtype == np.float32
    logits = rng.normal(size=(3, 4, 5)).astype(np.float32)
    assert (dense.label_of(image, logits, none) == dense.label_of(image, logits, None)).all()


def test_an_unknown_set_is_named():
    with pytest.raises(UserError, match=r"no set 'x'; choose one of a"):
        dense.chosen({"a": Crf(**RULE)}, "x")


def test_softmax_does_not_overflow():
    """Each pixel for itself: beside very high logits, lower ones keep their own shares."""
    out = dense.softmax(np.array([[[1e4, 0.0]], [[0.0, 0.0]]], np.float32))
    assert out.tolist() == [[[1, 0.5]], [[0, 0.5]]]


def test_labels_that_are_nowhere_likely_take_no_part(rng, monkeypatch):
    image = rng.integers(0, 255, (24, 20, 3), dtype=np.uint8)
    logits = np.full((9, 6, 5), -12, np.float32)
    logits[[0, 3, 7]] = rng.normal(size=(3, 6, 5))
    seen, whole = [], dense.dense_crf
    monkeypatch.setattr(dense, "dense_crf", lambda *args: seen.append(args[1]) or whole(*args))
    few = dense.label_of(image, logits, Crf(**RULE))
    monkeypatch.setattr(dense, "PRESENT", 0.0)
    assert (few == dense.label_of(image, logits, Crf(**RULE))).all()
    assert [len(energy) for energy in seen] == [3, 9]
    assert set(np.unique(few)) <= {0, 3, 7} and few.dtype == np.uint8


@pytest.mark.parametrize("share, asked", [(0.011, [2]), (0.009, [])])
def test_a_label_takes_part_from_a_hundredth_of_the_likeliest_on(monkeypatch, share, asked):
    seen = []
    monkeypatch.setattr(dense, "dense_crf", lambda *args: seen.append(len(args[1])) or -args[1])
    logits = np.zeros((2, 2, 2), np.float32)
    logits[1] = np.log(share)
    assert not dense.label_of(np.zeros((4, 4, 3), np.uint8), logits, Crf(**RULE)).any()
    assert seen == asked


def test_an_image_of_one_likely_label_needs_no_crf(monkeypatch):
    monkeypatch.setattr(dense, "dense_crf", None)
    logits = np.zeros((3, 6, 5), np.float32)
    logits[2] = 20
    out = dense.label_of(np.zeros((12, 10, 3), np.uint8), logits, Crf(**RULE))
    assert out.shape == (12, 10) and (out == 2).all()


def test_a_network_that_knows_nothing_leaves_every_label_in():
    label = dense.label_of(
        np.zeros((8, 8, 3), np.uint8), np.zeros((120, 2, 2), np.float32), Crf(**RULE)
    )
    assert label.shape == (8, 8)
