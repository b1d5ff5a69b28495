import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.arrays import VOID
from pipeline.training import augment
from pipeline.training.augment import random_view


def view(image, label, seed=0, **kw):
    args = {"size_px": 32, "scale": (0.5, 2.0), "jitter": 0.0} | kw
    return random_view(image, label, rng=np.random.default_rng(seed), **args)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(8, 90), st.integers(8, 90))
def test_shape_and_labels(seed, height, width):
    label = np.random.default_rng(seed).integers(0, 4, (height, width)).astype(np.uint8)
    image, out = view(np.repeat(label[..., None], 3, 2), label, seed)
    assert image.shape == (32, 32, 3) and out.shape == (32, 32)
    assert set(np.unique(out)) <= {0, 1, 2, 3, VOID}


def test_image_and_label_move_together():
    """A picture of its own label: they must agree wherever the label is known."""
    label = np.zeros((50, 70), np.uint8)
    label[10:40, 20:50] = 200
    for seed in range(20):
        image, out = view(np.repeat(label[..., None], 3, 2), label, seed)
        known = out != VOID
        wrong = (image[..., 0] > 100) != (out == 200)
        assert wrong[known].mean() < 0.04  # the resampled edge


def test_padding_is_void_in_the_label_and_mirrored_in_the_image():
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
        there = image[:, 0, 0].tolist()
        up, down = there[:top][::-1], there[top + 10 :]
        wave = [*rows[:, 0], *rows[::-1, 0]] * 3  # a mirror at each end, and again
        assert up == wave[: len(up)] and down == wave[10 : 10 + len(down)]
    assert len(tops) > 5


def test_half_of_the_views_are_mirrored():
    image = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    label = image[..., 0] // 8
    mirrored = 0
    for seed in range(200):
        found, out = view(image, label, seed, scale=(1, 1))
        turned = bool((found == image[:, ::-1]).all())
        mirrored += turned
        assert (found == (image[:, ::-1] if turned else image)).all()
        assert (out == (label[:, ::-1] if turned else label)).all()
    assert 75 <= mirrored <= 125


def test_same_generator_same_view_and_jitter_changes_colour():
    image = np.random.default_rng(1).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    assert (view(image, None, 3)[0] == view(image, None, 3)[0]).all()
    assert (view(image, None, 3)[0] != view(image, None, 4)[0]).any()
    assert (view(image, None, 3, jitter=0.5)[0] != view(image, None, 3)[0]).any()


def test_jitter_is_saturation_then_contrast_about_the_mean_then_brightness():
    image = np.random.default_rng(1).integers(0, 255, (9, 7, 3), dtype=np.uint8)
    found = augment._recolour(image, 0.4, np.random.default_rng(5))
    bright, contrast, colour = 1 + 0.4 * np.random.default_rng(5).uniform(-1, 1, 3)
    grey = (image @ [0.299, 0.587, 0.114])[..., None]
    x = image * colour + grey * (1 - colour)
    x = ((x - grey.mean()) * contrast + grey.mean()) * bright
    assert np.abs(np.clip(x, 0, 255) - found).max() <= 0.6  # cv2 keeps 10 bits
