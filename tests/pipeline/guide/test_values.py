"""Exact values of the guide rules, and of what the diffusion asks the CRF."""

import math

import numpy as np
import pytest

from pipeline.crf.config import Crf
from pipeline.guide import diffusion, rules
from pipeline.guide.config import Diffuse, Fuse

CRF = Crf(iterations=3, smooth_w=1, smooth_sxy=2, bilateral_w=3, bilateral_sxy=4, bilateral_srgb=5)
RULE = Fuse(
    rule="g2", evidence="maps", unlabelled="background", seed_rule="threshold", seed_threshold=0.2,
    saliency_threshold=0.5, min_seed_area_px=0, min_saliency_fraction=0,
)  # fmt: skip


def fuse(seed, salient, rule, tags=(4, 9)):
    how = RULE.model_copy(update={"rule": rule})
    changes = {"changes_RK": np.ones((1, len(tags)))} if rule == "g1" else {}
    return rules.fuse(np.array(seed, np.uint8), np.array(salient, bool), how, tags=tags,
                      rng=np.random.default_rng(0), **changes)  # fmt: skip


def test_seed_components_are_numbered_class_by_class():
    found = rules.seed_components(np.array([[2, 0, 1, 1, 0, 2]], np.uint8), min_area_px=0)
    assert found.tolist() == [[2, 0, 1, 1, 0, 3]] and found.dtype == np.int32


@pytest.mark.parametrize("rule", rules.RULES)
def test_every_rule_gives_labels_of_8_bits(rule):
    fused = fuse([[1, 0, 2, 0]], [[1, 1, 1, 0]], rule)
    assert (fused.label_HW.dtype, fused.seeds_HW.dtype) == (np.uint8, np.uint8)


@pytest.mark.parametrize("rule", ["g0", "component_random"])
def test_rules_that_draw_leave_what_is_not_salient_background(rule):
    label = fuse([[1, 0, 2, 0]], [[0, 1, 1, 0]], rule).label_HW
    assert label[0, 0] == label[0, 3] == 0 and label[0, 1] == label[0, 2] in (4, 9)
    assert not fuse([[1, 0, 2, 0]], [[0, 0, 0, 0]], rule).label_HW.any()


def how(sigma, unary="linear", shrink=1):
    return Diffuse(blur_sigma_px=sigma, unary=unary, crf="any", shrink=shrink)


@pytest.fixture
def asked(monkeypatch):
    """What the CRF is asked: the image, the energies and the set."""
    calls = []

    def answer(image, energy, crf):
        calls.append((image, energy, crf))
        return -energy

    monkeypatch.setattr(diffusion, "dense_crf", answer)
    return calls


@pytest.mark.parametrize("unary, seed, elsewhere", [
    ("linear", -0.999, -0.001), ("neglog", -math.log(0.999), -math.log(0.001)),
])  # fmt: skip
def test_the_energy_of_a_seed_and_of_all_else(asked, unary, seed, elsewhere):
    """So narrow a blur changes nothing: the seeds' map is 0.999 on a seed and 0.001 elsewhere."""
    image = np.arange(12, dtype=np.uint8).reshape(1, 4, 3)
    fused = fuse([[2, 0, 0, 7]], [[1, 1, 1, 1]], "g2")
    out = diffusion.diffuse(image, fused, how(0.1, unary=unary), CRF)
    [(of_image, energy, crf)] = asked
    assert (of_image == image).all() and crf == CRF
    expected = [[[seed] + [elsewhere] * 3], [[elsewhere] * 3 + [seed]]]
    assert energy == pytest.approx(np.array(expected), rel=1e-5, abs=1e-6)
    assert out[0, 0] == 2 and out[0, 3] == 7


def test_seeds_are_blurred_by_the_given_width_in_both_directions(asked):
    seed = np.zeros((9, 9), np.uint8)
    seed[4, 4], seed[0, 0] = 1, 2
    diffusion.diffuse(
        np.zeros((9, 9, 3), np.uint8), fuse(seed, np.ones((9, 9)), "g2"),
        how(1), CRF,
    )  # fmt: skip
    bell = [math.exp(-(d**2) / 2) for d in range(5)]
    bell = [b / (bell[0] + 2 * sum(bell[1:])) for b in bell]
    energy = asked[0][1][0]
    for down, right in ((0, 0), (0, 2), (2, 0), (1, 2)):
        expected = -(0.001 + 0.998 * bell[down] * bell[right])
        assert energy[4 + down, 4 + right] == pytest.approx(expected, rel=1e-4)


def test_a_shrunk_image_is_asked_with_narrower_widths(asked):
    """Blocks of 2x2 px become their mean. Colours and weights keep their scale."""
    image = np.zeros((2, 4, 3), np.uint8)
    image[:, :2], image[:, 2:] = [[[10], [20]], [[30], [40]]], 80
    fused = fuse([[2, 2, 0, 0], [2, 0, 0, 7]], np.ones((2, 4)), "g2")
    out = diffusion.diffuse(image, fused, how(0.1, shrink=2), CRF)
    [(of_image, energy, crf)] = asked
    assert of_image.tolist() == [[[25] * 3, [80] * 3]]
    two, seven = -(3 * 0.999 + 0.001) / 4, -(0.999 + 3 * 0.001) / 4
    expected = np.array([[[two, -0.001]], [[-0.001, seven]]])
    assert energy == pytest.approx(expected, rel=1e-5)
    assert crf == CRF.model_copy(update={"smooth_sxy": 1, "bilateral_sxy": 2})
    assert (out[:, 0] == 2).all() and (out[:, 3] == 7).all()


def test_the_sides_of_a_shrunk_image_round_up(asked):
    fused = fuse([[2, 0, 0, 0, 7]], np.ones((1, 5)), "g2")
    out = diffusion.diffuse(np.zeros((1, 5, 3), np.uint8), fused, how(0.1, shrink=2), CRF)
    assert asked[0][0].shape == (1, 3, 3) and out.shape == (1, 5)


def test_the_blur_of_a_shrunk_image_is_as_wide_as_before(asked):
    seed = np.zeros((40, 40), np.uint8)
    seed[16:24, 16:24], seed[:2, :2] = 1, 2
    for shrink in (1, 2):
        diffusion.diffuse(
            np.zeros((40, 40, 3), np.uint8), fuse(seed, np.ones((40, 40)), "g2"),
            how(4, shrink=shrink), CRF,
        )  # fmt: skip
    full, half = (energy[0] for _, energy, _ in asked)
    means = full.reshape(20, 2, 20, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(half, means, atol=0.01)


@pytest.mark.parametrize("shrink", [1, 2, 3])
def test_a_mirrored_image_gives_mirrored_labels(asked, shrink):
    """So the enlarged marginals lie where the image is, also if its sides are no multiple."""
    seed = np.zeros((13, 23), np.uint8)
    seed[2:5, 3:6], seed[8:11, 13:17] = 4, 9
    image, everywhere = np.zeros((13, 23, 3), np.uint8), np.ones((13, 23))
    label = diffusion.diffuse(image, fuse(seed, everywhere, "g2"), how(2, shrink=shrink), CRF)
    for axis in (0, 1):
        fused = fuse(np.flip(seed, axis), everywhere, "g2")
        mirrored = diffusion.diffuse(image, fused, how(2, shrink=shrink), CRF)
        assert (mirrored == np.flip(label, axis)).all()
