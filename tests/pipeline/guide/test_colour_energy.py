"""GrabCut's energy of a given mask."""

import numpy as np
import pytest

from pipeline.guide import colour_energy


@pytest.fixture
def scene(rng):
    """A noisy reddish square on a noisy bluish ground, and its mask."""
    mask = np.zeros((40, 50), bool)
    mask[12:30, 15:35] = True
    colour = np.where(mask[..., None], (190, 60, 50), (40, 80, 170))
    return np.clip(colour + rng.normal(0, 12, (40, 50, 3)), 0, 255).astype(np.uint8), mask


def shifted(mask, *step):
    return np.roll(mask, step, (0, 1))


@pytest.mark.parametrize("wrong", ["moved", "larger", "smaller", "empty", "all", "inverse_part"])
def test_the_true_mask_has_the_lowest_energy(scene, wrong):
    image, mask = scene
    other = mask.copy()
    match wrong:
        case "moved":
            other = shifted(mask, 4, 4)
        case "larger":
            other[8:34, 11:39] = True
        case "smaller":
            other[:] = False
            other[16:26, 19:31] = True
        case "empty":
            other[:] = False
        case "all":
            other[:] = True
        case "inverse_part":
            other[20:30] = ~other[20:30]
    colours = colour_energy.Colours.of(image)
    true = colours.energy(mask)
    assert true < 0
    assert true < colours.energy(other) - 0.01


def test_no_mask_has_energy_zero(scene):
    image, mask = scene
    nothing = np.zeros_like(mask)
    assert colour_energy.Colours.of(image).energy(nothing) == 0
    assert colour_energy.Colours.of(image).energy(~nothing) == 0


def test_boundary_equals_a_naive_loop(rng):
    image = rng.integers(0, 256, (6, 7, 3), dtype=np.uint8)
    mask = rng.random((6, 7)) < 0.5
    pairs = [
        ((y, x), (v, u))
        for y in range(6)
        for x in range(7)
        for v, u in ((y, x + 1), (y + 1, x))
        if v < 6 and u < 7
    ]
    squared = [float(((image[a].astype(float) - image[b]) ** 2).sum()) for a, b in pairs]
    beta = 1 / (2 * np.mean(squared))
    expected = sum(
        np.exp(-beta * s) for (a, b), s in zip(pairs, squared, strict=True) if mask[a] != mask[b]
    )
    assert colour_energy.Colours.of(image).boundary(mask) == pytest.approx(expected, rel=1e-5)


def test_colours_equal_a_count_by_hand():
    """Two black and two white pixels, told apart by the mask; the boundary adds its weight."""
    image = np.array([[[0] * 3, [0] * 3], [[255] * 3, [255] * 3]], np.uint8)
    mask = np.array([[False, False], [True, True]])
    total = 2 + 0.1 * 512
    apart = -2 * 2 * np.log(2.1 / total)
    together = -2 * 2 * np.log(2.1 / (4 + 0.1 * 512))
    boundary = 2 * np.exp(-1)  # 2 of the 4 pairs cross: each differs by twice the mean
    expected = (apart - together + 50 * boundary) / 4
    assert colour_energy.Colours.of(image).energy(mask) == pytest.approx(expected, rel=1e-5)


def test_an_image_of_one_colour_has_no_preferred_shape():
    image = np.full((20, 20, 3), 90, np.uint8)
    mask = np.zeros((20, 20), bool)
    mask[5:15, 5:15] = True
    assert colour_energy.Colours.of(image).energy(mask) > 0
