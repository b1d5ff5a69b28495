"""Every pooling against a value computed by hand, and the identities between poolings."""

import math

import pytest
import torch

from pipeline.seeds.pooling import POOLING_OPTIONS, POOLINGS, extremes

MAP = torch.tensor([[[[4.0, 0.0], [-2.0, 6.0]]]])  # sorted: 6, 4, 0, -2

BY_HAND = {
    "gap": ({}, 2.0),
    "gmp": ({}, 6.0),
    "max_min": ({}, 4.0),
    "weldon": ({"k_max": 2, "k_min": 0.25}, (6 + 4) / 2 + -2),
    "wildcat": ({"modalities": 3, "k_max": 0.5, "k_min": 3, "alpha": 0.3}, 5 + 0.3 * (2 / 3)),
    "log_sum_exp": (
        {"sharpness": 0.5},
        2 * math.log((math.e**2 + 1 + math.e**-1 + math.e**3) / 4),
    ),
    "soft_max_min": (
        {"max_sharpness": 0.5, "min_sharpness": 1, "alpha": 0.7},
        2 * math.log((math.e**2 + 1 + math.e**-1 + math.e**3) / 4)
        - 0.7 * math.log((math.e**-4 + 1 + math.e**2 + math.e**-6) / 4),
    ),
    "attention": ({"width": 4}, 2.0),
}


@pytest.mark.parametrize("name", POOLINGS)
def test_each_pooling_equals_its_value_by_hand(name):
    options, expected = BY_HAND[name]
    assert POOLINGS[name](MAP, **options).item() == pytest.approx(expected)


@pytest.mark.parametrize("name", POOLINGS)
def test_options_are_the_functions_arguments(name):
    model = POOLING_OPTIONS[name]
    assert set(BY_HAND[name][0]) == set(model.model_fields)


@pytest.fixture
def maps():
    return torch.randn(3, 5, 4, 7, generator=torch.Generator().manual_seed(0))


def test_wildcat_of_all_positions_without_lowest_is_gap(maps):
    scores = POOLINGS["wildcat"](maps, modalities=1, k_max=10**6, k_min=1, alpha=0)
    torch.testing.assert_close(scores, POOLINGS["gap"](maps))


def test_wildcat_of_one_position_without_lowest_is_gmp(maps):
    scores = POOLINGS["wildcat"](maps, modalities=1, k_max=1, k_min=1, alpha=0)
    torch.testing.assert_close(scores, POOLINGS["gmp"](maps))


def test_one_highest_and_one_lowest_position_is_max_min(maps):
    scores = POOLINGS["wildcat"](maps, modalities=1, k_max=1, k_min=1, alpha=1)
    torch.testing.assert_close(scores, POOLINGS["max_min"](maps))
    torch.testing.assert_close(scores, POOLINGS["weldon"](maps, k_max=1, k_min=1))


def test_log_sum_exp_lies_between_mean_and_maximum(maps):
    soft = POOLINGS["log_sum_exp"](maps, sharpness=1e-3)
    torch.testing.assert_close(soft, POOLINGS["gap"](maps), atol=2e-3, rtol=0)
    hard = POOLINGS["log_sum_exp"](maps, sharpness=1e3)
    torch.testing.assert_close(hard, POOLINGS["gmp"](maps), atol=5e-3, rtol=0)


def soft(maps, *, sharpness, alpha):
    return POOLINGS["soft_max_min"](
        maps, max_sharpness=sharpness, min_sharpness=sharpness, alpha=alpha
    )


def test_a_sharp_soft_max_min_is_the_maximum_plus_alpha_times_the_minimum(maps):
    expected = maps.amax((2, 3)) + 0.7 * maps.amin((2, 3))
    torch.testing.assert_close(soft(maps, sharpness=1e3, alpha=0.7), expected, atol=8e-3, rtol=0)


def test_a_flat_soft_max_min_is_the_mean_once_and_alpha_times(maps):
    expected = 1.7 * POOLINGS["gap"](maps)
    torch.testing.assert_close(soft(maps, sharpness=1e-3, alpha=0.7), expected, atol=4e-3, rtol=0)


def test_soft_max_min_without_the_minimum_is_log_sum_exp(maps):
    expected = POOLINGS["log_sum_exp"](maps, sharpness=5)
    torch.testing.assert_close(soft(maps, sharpness=5, alpha=0), expected)


def test_soft_max_min_of_the_negative_map_changes_sign(maps):
    """With alpha 1 and equal sharpness, the evidence for and against counts alike."""
    torch.testing.assert_close(soft(-maps, sharpness=5, alpha=1), -soft(maps, sharpness=5, alpha=1))


def test_a_share_rounds_to_at_least_one_position(maps):
    scores = extremes(maps, k_max=0.001, k_min=0.001, alpha=1)
    torch.testing.assert_close(scores, POOLINGS["max_min"](maps))


@pytest.mark.parametrize("name", POOLINGS)
def test_flipped_maps_have_the_same_scores_and_gradients_flow(maps, name):
    options = BY_HAND[name][0]
    leaf = maps.clone().requires_grad_()
    scores = POOLINGS[name](leaf, **options)
    assert scores.shape == (3, 5)
    torch.testing.assert_close(POOLINGS[name](maps.flip(3), **options), scores)
    scores.sum().backward()
    assert torch.isfinite(leaf.grad).all() and leaf.grad.abs().sum() > 0
