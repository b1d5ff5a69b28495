"""Labels of a later round, by hand."""

import numpy as np

from pipeline.core.arrays import VOID
from pipeline.crf.config import Crf
from pipeline.guide import rounds

IMAGE = np.zeros((2, 4, 3), np.uint8)
CRF = {"smooth_w": 3, "smooth_sxy": 3, "bilateral_w": 4, "bilateral_sxy": 50, "bilateral_srgb": 5}
LOGITS = np.array([[0, 2, 0, 0], [1, 0, 0, 0], [5, 5, 5, 0], [0, 0, 3, 1]], np.float32)[:, None]
LOGITS = LOGITS.repeat(2, axis=1)  # background, classes 1 to 3; (4, 2, 4)


def label(classes, iterations=0):
    return rounds.posterior_label(IMAGE, LOGITS, classes, Crf(iterations=iterations, **CRF))


def test_the_label_is_the_most_probable_of_background_and_tags():
    assert label([1, 3]).tolist() == [[1, 0, 3, 3]] * 2
    assert label([2]).tolist() == [[2, 2, 2, 0]] * 2
    assert label([1]).dtype == np.uint8


def test_an_image_without_tags_is_background():
    assert not label([]).any() and not label([], iterations=2).any()


def test_the_crf_smooths_the_posterior():
    """In an image of one colour, the few pixels of class 3 and of background follow the rest."""
    assert set(np.unique(label([1, 2, 3], iterations=10))) == {2}


def test_without_changes():
    new, last = np.uint8([1, 1, 0, 2, 0, VOID]), np.uint8([1, 0, 0, VOID, 3, 1])
    assert rounds.without_changes(new, last).tolist() == [1, VOID, 0, 2, VOID, VOID]
