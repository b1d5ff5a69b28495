"""Transparent layers over a photograph, pixel by pixel, and colours for colour-blind eyes."""

import itertools

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from pipeline.core.arrays import CONTESTED, VOID
from pipeline.report import layers
from pipeline.report.drawing import COLOURS


def chain(**labels):
    """An image of 4x6 px whose links made one map, a black saliency map, and `labels`."""
    missing = dict.fromkeys(("seed_HW", "guide_HW", "prediction_HW", "truth_HW"))
    return layers.Chain(
        np.full((4, 6, 3), 100, np.uint8), np.ones((1, 2, 3), np.float32),
        np.array([1], np.uint8), np.zeros((4, 6), np.float32), **(missing | labels),
    )  # fmt: skip


def label(value):
    return np.full((4, 6), value, np.uint8)


def drawn(**labels):
    _, pictures = layers.draw(chain(**labels), side_px=6)
    return dict(zip(layers.LAYERS, pictures, strict=True))


def test_each_kind_of_error_has_its_colour():
    """Truth by row (background, 1, 2, void), label by column (background, 1, 2, void)."""
    truth, predicted = np.meshgrid(*[np.array([0, 1, 2, VOID], np.uint8)] * 2, indexing="ij")
    known, unknown, right = (0, 0, 0), (128, 128, 128), layers.RIGHT
    positive, negative, mixed = layers.FALSE_POSITIVE, layers.FALSE_NEGATIVE, layers.WRONG_CLASS
    assert len({right, positive, negative, mixed, known, unknown}) == 6
    expected = [
        [known, positive, positive, positive],
        [negative, right, mixed, mixed],
        [negative, mixed, right, mixed],
        [unknown] * 4,
    ]
    assert layers.errors(predicted, truth)[..., :3].tolist() == np.array(expected).tolist()


# How dichromats see linear RGB. Source: Machado et al., IEEE TVCG 2009, table 1, severity 1.0.
BLIND = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
               [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
               [0.004733, 0.691367, 0.303900]],
    "none": np.eye(3).tolist(),
}  # fmt: skip


def seen_by(kind, colour):
    """The CIELAB colour that these eyes see."""
    srgb = np.array(colour) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(BLIND[kind]) @ linear, 0, 1)
    back = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return rgb2lab(back[None, None])[0, 0]


@pytest.mark.parametrize("kind", BLIND)
def test_colour_blind_eyes_tell_the_errors_apart(kind):
    """A difference of 10 is seen at a glance; red and green of one lightness have less."""
    colours = [layers.FALSE_POSITIVE, layers.FALSE_NEGATIVE, layers.WRONG_CLASS, layers.RIGHT]
    for one, other in itertools.combinations(colours, 2):
        assert deltaE_ciede2000(seen_by(kind, one), seen_by(kind, other)) > 10
    first, second = (seen_by(kind, c) for c in colours[:2])
    assert deltaE_ciede2000(first, second) > 25


def test_the_simulation_does_confuse_red_and_green():
    green, red = seen_by("deutan", (120, 130, 30)), seen_by("deutan", (180, 100, 30))
    assert deltaE_ciede2000(green, red) < 10


def test_tint_leaves_the_background_clear_and_contested_pixels_white():
    found = layers.tint(np.array([[0, 1, CONTESTED, VOID]], np.uint8))
    assert found[0, :, 3].tolist() == [0, layers.TINT, layers.TINT, layers.TINT]
    assert found[0, 1, :3].tolist() == COLOURS[1].tolist()
    assert found[0, 2, :3].tolist() == [255] * 3


def test_a_clear_layer_shows_the_photograph_and_an_opaque_one_hides_it():
    photo = np.full((1, 3, 3), 100, np.uint8)
    layer = np.array([[[9, 9, 9, 0], [200, 0, 50, 255], [200, 200, 200, 51]]], np.uint8)
    assert layers.over(photo, layer)[0].tolist() == [[100] * 3, [200, 0, 50], [120] * 3]


def test_saliency_darkens_what_is_not_salient():
    found = layers.veil(np.array([[0.0, 0.5, 1.0, 2.0]]))[0]
    assert found[:, :3].max() == 0 and found[:, 3].tolist() == [225, 112, 0, 0]


def test_maps_go_from_clear_over_blue_to_red():
    found = layers.heat(np.array([[0.0, 0.25, 1.0]]))[0].astype(int)
    assert found[0, 3] == 0 and 0 < found[1, 3] < found[2, 3] == 200
    assert found[1, 2] > found[1, 0] and found[2, 0] > found[2, 2]


def test_layers_come_in_the_order_of_their_names():
    labels = {"seed": 1, "guide": 2, "brought": 4, "prediction": 3, "truth": 3}
    seen = drawn(**{f"{name}_HW": label(value) for name, value in labels.items()})
    assert (seen["class maps"] == layers.heat(np.ones((4, 6)))).all()
    assert (seen["saliency"] == layers.veil(np.zeros((4, 6)))).all()
    for name, value in labels.items():
        assert (seen[name] == layers.tint(label(value))).all()
    assert (seen["errors"][..., :3] == layers.RIGHT).all()


def test_what_a_link_did_not_make_is_missing_and_present_says_so():
    made = {"class maps", "saliency"}
    assert {name for name, layer in drawn().items() if layer is not None} == made
    said = dict(zip(layers.LAYERS, layers.present(chain()), strict=True))
    assert {name for name, there in said.items() if there} == made
    without_tags = layers.Chain(
        np.zeros((4, 6, 3), np.uint8), np.zeros((0, 2, 3), np.float32), np.zeros(0, np.uint8),
        np.zeros((4, 6), np.float32), None, None, None, label(1),
    )  # fmt: skip
    assert layers.present(without_tags) == (False, False, True, False, False, False, True, False)
    assert layers.draw(without_tags, side_px=6)[1][0] is None


def test_without_a_prediction_the_errors_are_the_guide_labels():
    found = drawn(guide_HW=label(2), truth_HW=label(3))["errors"]
    assert (found[..., :3] == layers.WRONG_CLASS).all()


@pytest.mark.parametrize("side_px, size", [(3, (2, 3)), (6, (4, 6)), (99, (4, 6))])
def test_a_photograph_shrinks_to_its_long_side_and_never_grows(side_px, size):
    photo, pictures = layers.draw(chain(guide_HW=label(1)), side_px=side_px)
    assert photo.shape == (*size, 3) and pictures[3].shape == (*size, 4)


def test_a_strip_has_a_clear_tile_for_each_missing_layer():
    one = np.full((2, 3, 4), 7, np.uint8)
    found = layers.strip([None, one], size=(2, 3))
    assert found.shape == (4, 3, 4) and not found[:2].any() and (found[2:] == 7).all()
