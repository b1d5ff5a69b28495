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


AGREEMENTS = {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6, "e": 0.1, "f": 0.5, "g": 1.0}
TAGS = {"a": ["dog"], "b": ["dog"], "c": ["dog"], "d": ["dog"], "e": ["cow"],
        "f": ["dog", "cow"], "g": []}  # fmt: skip


def test_the_images_of_each_tag_are_chosen_by_themselves():
    """Of the dogs, a and b are the best half. f counts for cow, which is rarer, and beats e."""
    assert rounds.most_agreed(AGREEMENTS, TAGS, share=0.5) == {"a", "b", "f", "g"}
    assert rounds.most_agreed(AGREEMENTS, TAGS, share=0.51) == {"a", "b", "c", "e", "f", "g"}
    assert rounds.most_agreed(AGREEMENTS, TAGS, share=0.01) == {"a", "f", "g"}
    assert rounds.most_agreed(AGREEMENTS, TAGS, share=1) == set(TAGS)


def test_of_equal_agreements_the_first_ids_are_chosen():
    same = dict.fromkeys("dbca", 0.5)
    assert rounds.most_agreed(same, {key: ["dog"] for key in "abcd"}, share=0.5) == {"a", "b"}
