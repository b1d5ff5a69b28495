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
    out = diffusion.diffuse(image, fused, Diffuse(blur_sigma_px=0.1, unary=unary, crf="any"), CRF)
    [(of_image, energy, crf)] = asked
    assert of_image is image and crf is CRF
    expected = [[[seed] + [elsewhere] * 3], [[elsewhere] * 3 + [seed]]]
    assert energy == pytest.approx(np.array(expected), rel=1e-5, abs=1e-6)
    assert out[0, 0] == 2 and out[0, 3] == 7


def test_seeds_are_blurred_by_the_given_width_in_both_directions(asked):
    seed = np.zeros((9, 9), np.uint8)
    seed[4, 4], seed[0, 0] = 1, 2
    diffusion.diffuse(
        np.zeros((9, 9, 3), np.uint8), fuse(seed, np.ones((9, 9)), "g2"),
        Diffuse(blur_sigma_px=1, unary="linear", crf="any"), CRF,
    )  # fmt: skip
    bell = [math.exp(-(d**2) / 2) for d in range(5)]
    bell = [b / (bell[0] + 2 * sum(bell[1:])) for b in bell]
    energy = asked[0][1][0]
    for down, right in ((0, 0), (0, 2), (2, 0), (1, 2)):
        expected = -(0.001 + 0.998 * bell[down] * bell[right])
        assert energy[4 + down, 4 + right] == pytest.approx(expected, rel=1e-4)
