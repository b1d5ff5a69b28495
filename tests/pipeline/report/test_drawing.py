"""Pictures, pixel by pixel."""

import numpy as np
import pytest

from pipeline.core.arrays import CONTESTED, VOID
from pipeline.report import drawing


def grey_image(*rows):
    """An image whose three channels are equal."""
    return np.repeat(np.array(rows, np.uint8)[..., None], 3, 2)


def test_overlay_mixes_labelled_pixels_and_leaves_the_background():
    image = np.array([[[10, 20, 30], [100, 100, 100], [100, 100, 100], [0, 50, 200]]], np.uint8)
    label = np.array([[0, 1, VOID, CONTESTED]], np.uint8)
    found = drawing.overlay(image, label, strength=0.5)
    assert found.dtype == np.uint8
    assert found[0].tolist() == [
        [10, 20, 30],  # background
        [(100 + 128) // 2, 50, 50],  # VOC's dark red
        [(100 + 224) // 2, (100 + 224) // 2, (100 + 192) // 2],  # VOC's void
        [255 // 2, (50 + 255) // 2, (200 + 255) // 2],  # contested: half white
    ]


def test_overlay_of_strength_0_is_the_image_and_of_1_the_palette(rng):
    image = rng.integers(0, 255, (5, 6, 3), dtype=np.uint8)
    label = rng.integers(1, 21, (5, 6)).astype(np.uint8)
    assert (drawing.overlay(image, label, strength=0.0) == image).all()
    assert (drawing.overlay(image, label, strength=1.0) == drawing.COLOURS[label]).all()


def test_heat_goes_from_blue_to_red_over_the_greyed_image():
    image = np.full((1, 3, 3), (200, 40, 90), np.uint8)
    grey = round(0.299 * 200 + 0.587 * 40 + 0.114 * 90)
    found = drawing.heat(image, np.array([[0.0, 0.5, 1.0]]))[0].astype(int)
    turbo = [(48, 18, 59), (164, 252, 60), (122, 4, 3)]  # the map's published ends and middle
    expected = 0.4 * grey + 0.6 * np.array(turbo)
    assert np.abs(found - expected).max() <= 3
    outside = drawing.heat(image, np.array([[-1.0, 0.5, 7.0]]))[0]
    assert (outside == found).all()


def test_tile_has_the_panels_height_and_keeps_aspect_and_area_means():
    """4x6 px to a height of 2: each pixel is the mean of 2x2."""
    image = grey_image(*(np.arange(24).reshape(4, 6) * 10))
    means = np.arange(24).reshape(2, 2, 3, 2).mean((1, 3)) * 10
    found = drawing.tile(image, height_px=2)
    assert found.shape == (2, 3, 3) and np.abs(found[..., 0] - means).max() <= 0.5
    assert drawing.tile(np.zeros((300, 1, 3), np.uint8), height_px=20).shape == (20, 1, 3)
    assert drawing.tile(np.zeros((10, 20, 3), np.uint8), height_px=30).shape == (30, 60, 3)


def test_panel_sets_tiles_side_by_side_with_a_white_gap():
    one, two = np.full((3, 2, 3), 10, np.uint8), np.full((3, 2, 3), 20, np.uint8)
    row = [10] * 2 + [255] * 4 + [20] * 2
    assert drawing.panel([one, two]).tolist() == grey_image(row, row, row).tolist()
    assert (drawing.panel([one]) == one).all()


@pytest.mark.parametrize("place", [0, 1])
def test_a_missing_tile_is_hatched_at_the_size_of_the_others(place):
    tiles = [np.zeros((20, 30, 3), np.uint8)] * 2
    tiles[place] = None
    found = drawing.panel(tiles)
    assert found.shape == (20, 30 + 4 + 30, 3)
    halves = found[:, :30], found[:, 34:]
    assert not halves[1 - place].any()
    hatched = halves[place][..., 0]
    assert set(np.unique(hatched)) == {235, 245}
    assert (hatched[1:, :-1] == hatched[:-1, 1:]).all()  # stripes run up to the right
    assert hatched[0, :12].tolist() == [235] * 6 + [245] * 6


def test_a_title_is_a_strip_of_dark_text_above_the_picture():
    picture = np.full((30, 80, 3), 120, np.uint8)
    found, other = (drawing.titled(picture, text) for text in ("cat 0.90", "dog 0.10"))
    assert found.shape == (30 + drawing.TITLE_PX, 80, 3)
    assert (found[drawing.TITLE_PX :] == picture).all()
    strip = found[: drawing.TITLE_PX]
    assert strip.min() < 80 and (strip[:2] == 255).all()  # text, and white above it
    assert (strip != other[: drawing.TITLE_PX]).any()
    long = drawing.titled(picture, "a class with a very long name 0.90")
    assert long.shape == found.shape
