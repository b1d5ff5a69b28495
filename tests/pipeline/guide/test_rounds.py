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


def test_the_label_without_a_crf_is_that_of_a_crf_that_does_nothing():
    for classes in ([1, 3], [2], []):
        without = rounds.label_without_crf(LOGITS, classes, height_px=2, width_px=4)
        assert (without == label(classes)).all() and without.dtype == np.uint8


def test_agreement_is_the_share_of_object_pixels_with_the_same_class():
    last = np.uint8([[0, 1, 1, 1], [0, 2, VOID, VOID]])
    assert rounds.agreement(last, last) == 1
    assert rounds.agreement(np.uint8([[0, 1, 1, 2], [1, 0, 0, 3]]), last) == 2 / 5
    assert rounds.agreement(np.zeros_like(last), last) == 0
    assert rounds.agreement(np.zeros_like(last), np.zeros_like(last)) == 1


def test_the_images_that_agree_most_are_chosen_and_of_equal_ones_the_first_ids():
    agreements = {"d": 0.5, "b": 0.5, "c": 0.9, "a": 0.1, "e": 0.5}
    chosen = {share: rounds.most_agreed(agreements, share=share) for share in (0.01, 0.5, 0.61, 1)}
    assert chosen == {0.01: {"c"}, 0.5: set("cbd"), 0.61: set("cbde"), 1: set("abcde")}
