"""Random views: image and label move together, padding, flips and colours."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.arrays import VOID
from pipeline.training import augment
from pipeline.training.augment import random_view


def view(image, label, seed=0, **changes):
    options = {"size_px": 32, "scale": (0.5, 2.0), "jitter": 0.0} | changes
    return random_view(image, label, rng=np.random.default_rng(seed), **options)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(8, 90), st.integers(8, 90))
def test_a_view_has_its_size_and_no_new_labels(seed, height, width):
    label = np.random.default_rng(seed).integers(0, 4, (height, width)).astype(np.uint8)
    image, out = view(np.repeat(label[..., None], 3, 2), label, seed)
    assert image.shape == (32, 32, 3) and out.shape == (32, 32)
    assert set(np.unique(out)) <= {0, 1, 2, 3, VOID}


def test_image_and_label_move_together():
    """The image shows its label, so both must agree wherever the label is not void."""
    label = np.zeros((50, 70), np.uint8)
    label[10:40, 20:50] = 200
    for seed in range(20):
        image, out = view(np.repeat(label[..., None], 3, 2), label, seed)
        known = out != VOID
        wrong = (image[..., 0] > 100) != (out == 200)
        assert wrong[known].mean() < 0.04  # resampling blurs the edge


def test_padding_reflects_the_image_and_is_void_in_the_label():
    rows = np.arange(10, 90, 8, dtype=np.uint8)[:, None]
    stripes, label = np.repeat(np.broadcast_to(rows, (10, 32))[..., None], 3, 2), rows // 10
    tops = set()
    for seed in range(20):
        image, out = view(stripes, np.broadcast_to(label, (10, 32)), seed, scale=(1, 1))
        (inside,) = np.nonzero((out != VOID).all(1))
        assert len(inside) == 10 and (out[inside] == label).all()
        top = inside[0]
        tops.add(top)
        assert (out[np.setdiff1d(np.arange(32), inside)] == VOID).all()
        column = image[:, 0, 0].tolist()
        above, below = column[:top][::-1], column[top + 10 :]
        reflected = [*rows[:, 0], *rows[::-1, 0]] * 3  # as often as the view needs it
        assert above == reflected[: len(above)]
        assert below == reflected[10 : 10 + len(below)]
    assert len(tops) > 5


def test_half_of_the_views_are_mirrored():
    image = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    label = image[..., 0] // 8
    mirrored = 0
    for seed in range(200):
        seen, out = view(image, label, seed, scale=(1, 1))
        flipped = bool((seen == image[:, ::-1]).all())
        mirrored += flipped
        assert (seen == (image[:, ::-1] if flipped else image)).all()
        assert (out == (label[:, ::-1] if flipped else label)).all()
    assert 75 <= mirrored <= 125


def test_a_view_depends_on_the_generator_and_jitter_changes_colours():
    image = np.random.default_rng(1).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    assert (view(image, None, 3)[0] == view(image, None, 3)[0]).all()
    assert (view(image, None, 3)[0] != view(image, None, 4)[0]).any()
    assert (view(image, None, 3, jitter=0.5)[0] != view(image, None, 3)[0]).any()


def test_jitter_changes_saturation_then_contrast_around_the_mean_then_brightness():
    image = np.random.default_rng(1).integers(0, 255, (9, 7, 3), dtype=np.uint8)
    recoloured = augment._recolour(image, 0.4, np.random.default_rng(5))
    bright, contrast, colour = 1 + 0.4 * np.random.default_rng(5).uniform(-1, 1, 3)
    grey = (image @ [0.299, 0.587, 0.114])[..., None]
    x = image * colour + grey * (1 - colour)
    x = ((x - grey.mean()) * contrast + grey.mean()) * bright
    assert np.abs(np.clip(x, 0, 255) - recoloured).max() <= 0.6  # cv2 computes with 10 bits
