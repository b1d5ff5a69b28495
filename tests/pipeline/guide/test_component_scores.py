"""The scores of single components, by a classifier whose scores are known by hand."""

import numpy as np
import pytest
import torch

from pipeline.guide import rules
from pipeline.guide.component_scores import BATCH, score_changes

GREY = 100.0
MEAN = torch.full((1, 3, 1, 1), GREY)
PIXELS = {"red": (140, 100, 100), "green": (100, 140, 100), "dark": (60, 60, 60)}


def picture(*names):
    """One row of pixels, (3, 1, W)."""
    return torch.tensor([PIXELS[n] for n in names], dtype=torch.uint8).T[:, None]


def red_and_green(image_N3hw):
    """A classifier of two classes: the sum of red, and the sum of green, above the mean colour."""
    return (image_N3hw.float() - MEAN).sum((2, 3))[:, :2]


def changes(image, regions):
    return score_changes(red_and_green, image, np.array(regions), mean_1311=MEAN)


TWO = picture("red", "dark", "dark", "green")
REGIONS = [[1, 0, 0, 2]]


def test_changes_by_hand():
    """The whole has 40 - 40 - 40 of either colour; a component alone 40 of its own, 0 of other."""
    assert changes(TWO, REGIONS).tolist() == [[80, 40], [40, 80]]


def test_g1_finds_the_right_tag_of_each_component():
    found = changes(TWO, REGIONS).numpy()
    parts = rules.Parts(None, None, np.array(REGIONS), (3, 5), None, found)
    assert rules.g1(parts).tolist() == [[3, 0, 0, 5]]


def test_what_speaks_less_alone_than_in_the_whole_has_a_negative_change():
    """Half of the red is lost, and so is all that speaks against green."""
    found = changes(picture("red", "red", "dark"), [[1, 0, 0]])
    assert found.tolist() == [[40 - (80 - 40), 0 - -40]]


def test_components_at_image_size_are_those_of_the_smaller_input():
    """Each pixel of the input covers 3x3 px of the image."""
    regions = np.kron(np.array(REGIONS), np.ones((3, 3), int))
    assert torch.equal(changes(TWO, regions), changes(TWO, REGIONS))


@pytest.mark.parametrize("count", [0, 1, BATCH, BATCH + 1, 2 * BATCH + 3])
def test_any_number_of_components_has_a_row_each(count):
    image = picture(*["red"] * count, "green")
    found = changes(image, [[*range(1, count + 1), 0]])
    assert found.tolist() == [[40 - 40 * count, -40]] * count
