"""Labels out of maps and saliency: by hand, and what holds for any input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.core.arrays import CONTESTED, VOID
from pipeline.guide import graph_cut, labels, rounds, seed_rule
from pipeline.guide.config import Fuse

RULE = Fuse(
    rule="g2", evidence="maps", unlabelled="background", seed_rule="threshold", seed_threshold=0.2,
    saliency_threshold=0.5, min_seed_area_px=0, min_saliency_fraction=0,
)  # fmt: skip
CHANCE = (0, "a")
CLASSES = np.array([3], np.uint8)


def row(*values):
    return np.array([values], np.float32)


def cues(maps, classes=CLASSES, fraction=0.25):
    height, width = maps.shape[1:]
    return seed_rule.cues(
        maps, classes, seed_threshold=0.2, background_fraction=fraction,
        height_px=height, width_px=width,
    )  # fmt: skip


def test_graph_cut_makes_the_seeds_from_the_image_in_place_of_the_threshold(rng):
    maps = rng.random((1, 6, 8)).astype(np.float32)
    maps[0, 1:5, 2:6] += 3
    image = rng.integers(0, 60, (12, 16, 3), dtype=np.uint8)
    image[2:10, 4:12] += np.uint8(180)
    rule = RULE.model_copy(update={"seed_rule": "graph_cut", "rule": "seeds_only"})
    saliency = np.zeros((12, 16), np.float32)
    fused = labels.fused(maps, CLASSES, saliency, rule, chance=CHANCE, image_HW3=image)
    expected = graph_cut.seed_labels(maps, CLASSES, image)
    assert (fused.label_HW == expected).all() and set(np.unique(expected)) == {0, 3}
    other = labels.fused(maps, CLASSES, saliency, RULE, chance=CHANCE).label_HW
    assert (other != expected).any()


def test_oracle_labels_are_the_object_that_the_seed_touches():
    """Two objects, one seed: with the truth as saliency its object is filled, the other not."""
    maps = np.zeros((1, 4, 6), np.float32)
    maps[0, 1, 1] = 1
    truth = np.zeros((4, 6), np.float32)
    truth[:3, :2], truth[3, 5] = 1, 1
    found = labels.fused(maps, CLASSES, truth, RULE, chance=CHANCE).label_HW
    expected = np.zeros((4, 6), np.uint8)
    expected[:3, :2] = 3
    assert (found == expected).all()


def test_fused_labels_by_hand():
    """Of 12 px: a seed of one px and a salient region of two are below the limits, and dropped."""
    rule = RULE.model_copy(update={"min_seed_area_px": 2, "min_saliency_fraction": 0.2})
    maps = row(1, 1, 0.19, 0, 0, 0, 0, 0, 1, 0, 0, 0)[None]
    saliency = row(0, 0.6, 0.6, 0.6, 0, 0, 0, 0, 0, 0, 0.9, 0.9)
    found = labels.fused(maps, CLASSES, saliency, rule, chance=CHANCE)
    assert found.seeds_HW.tolist() == [[3, 3] + [0] * 10]
    assert found.label_HW.tolist() == [[0, 3, 3, 3] + [0] * 8]


def test_maps_of_any_size_give_labels_at_the_size_of_the_saliency():
    maps = np.array([[[1, 0]]], np.float32)  # at image size 1, 0.75, 0.25, 0
    rule = RULE.model_copy(update={"seed_threshold": 0.5, "rule": "seeds_only"})
    found = labels.fused(maps, CLASSES, np.zeros((2, 4), np.float32), rule, chance=CHANCE)
    assert found.label_HW.tolist() == [[3, 3, 0, 0]] * 2


def test_saliency_at_the_threshold_is_salient():
    maps, saliency = row(1, 1, 1, 1)[None], row(0.5, 0.75, 0.49, 0)
    found = labels.fused(maps, CLASSES, saliency, RULE, chance=CHANCE)
    assert found.label_HW.tolist() == [[3, 3, 0, 0]]


def drawn(image_id, random_seed=0):
    """The tag that one image draws, of three."""
    rule = RULE.model_copy(update={"rule": "g0"})
    maps, tags = np.zeros((3, 1, 1), np.float32), np.array([2, 5, 7], np.uint8)
    found = labels.fused(maps, tags, row(1), rule, chance=(random_seed, image_id))
    return int(found.label_HW[0, 0])


def test_each_image_draws_its_own_tag_and_the_same_one_every_time():
    assert [drawn(c) for c in "abcdefgh"] == [2, 5, 5, 2, 7, 7, 5, 2]
    assert [drawn(c, random_seed=1) for c in "abcdefgh"] == [2, 7, 2, 2, 2, 2, 7, 2]


def test_g1_takes_saliency_from_the_threshold_on_and_has_no_seeds():
    rule = RULE.model_copy(update={"rule": "g1", "evidence": "component_scores"})
    saliency = row(0.5, 0.75, 0.49, 0.6, 0)
    changes, tags = np.array([[1, 2], [3, -1]], np.float32), np.array([2, 7], np.uint8)
    found = labels.fused_by_scores(changes, tags, saliency, rule)
    assert found.label_HW.tolist() == [[7, 7, 0, 2, 0]]
    assert found.seeds_HW.shape == (1, 5) and not found.seeds_HW.any()
    assert (found.label_HW.dtype, found.seeds_HW.dtype) == (np.uint8, np.uint8)


def test_next_saliency_is_the_mean_with_maximum_one():
    found = rounds.next_saliency(row(0.5, 0.9, 0.1, 0), row(1, 0.1, 0.1, 0))
    np.testing.assert_allclose(found, row(1, 1 / 1.5, 0.2 / 1.5, 0), rtol=1e-6)


def test_next_saliency_is_at_the_image_size():
    found = rounds.next_saliency(np.ones((2, 3), np.float32), np.zeros((8, 12), np.float32))
    assert found.shape == (8, 12) and (found == 1).all()


def test_a_sure_segmenter_mends_what_saliency_missed():
    """Saliency alone sees half the object; half its weight still carries it over the threshold."""
    maps, saliency = row(1, 1, 0, 0)[None], row(1, 0.4, 0, 0)
    assert labels.fused(maps, CLASSES, saliency, RULE, chance=CHANCE).label_HW.tolist() == [
        [3, 0, 0, 0]
    ]
    mean = rounds.next_saliency(row(0.9, 0.9, 0.1, 0), saliency)
    assert labels.fused(maps, CLASSES, mean, RULE, chance=CHANCE).label_HW.tolist() == [
        [3, 3, 0, 0]
    ]


def test_cues_by_hand():
    """Seeds from 20 % of the maximum on; the lowest quarter is background; the rest is void."""
    maps = row(0.02, 0.04, 0.1, 0.18, 0.2, 0.5, 1, 0.19)[None]
    assert cues(maps).tolist() == [[0, 0, VOID, VOID, 3, 3, 3, VOID]]


def test_of_two_seeds_the_stronger_map_wins():
    maps = np.stack([row(1, 0.6, 0.1, 0), row(0, 0.4, 1, 0)])
    found = cues(maps, np.array([1, 4], np.uint8))
    assert found.tolist() == [[1, 1, 4, 0]]


def test_of_pixels_without_any_evidence_the_farthest_are_background():
    maps = row(0, 1, 1, 0, 0, 0, 0, 0)[None]
    assert cues(maps).tolist() == [[VOID, 3, 3, VOID, VOID, VOID, 0, 0]]


def test_a_pixel_without_evidence_is_no_seed_even_at_threshold_0():
    found = seed_rule.cues(row(0, 0.5, 1, 0.1)[None], CLASSES, seed_threshold=0,
                        background_fraction=0, height_px=1, width_px=4)  # fmt: skip
    assert found.tolist() == [[VOID, 3, 3, 3]] and found.dtype == np.uint8


def test_a_seed_is_never_background():
    assert cues(np.ones((1, 2, 4), np.float32), fraction=1).tolist() == [[3] * 4] * 2


@pytest.mark.parametrize("fraction, share", [(0, 0), (0.1, 0.1), (1, 1)])
def test_background_is_the_share_asked_for(rng, fraction, share):
    maps = rng.random((1, 10, 20), np.float32) * 0.1
    maps[0, 0, 0] = 1
    assert (cues(maps, fraction=fraction) == 0).mean() == pytest.approx(share, abs=0.006)


def test_an_image_without_tags_has_background_cues_alone():
    found = cues(np.zeros((0, 4, 4), np.float32), np.array([], np.uint8))
    assert set(np.unique(found)) == {0, VOID} and (found == 0).sum() == 4


maps_of_two = hnp.arrays(np.float32, (2, 4, 5), elements=st.floats(0, 8, width=16))
any_map = hnp.arrays(np.float32, (12, 15), elements=st.floats(0, 1, width=16))


@settings(max_examples=40, deadline=None)
@given(maps_of_two, any_map, hnp.arrays(np.float32, (3, 4), elements=st.floats(0, 1, width=16)))
def test_every_kind_of_label_keeps_to_the_tags(maps, saliency, foreground):
    tags = np.array([2, 7], np.uint8)
    found = labels.fused(
        maps, tags, rounds.next_saliency(foreground, saliency), RULE, chance=(0, "a")
    )
    assert set(np.unique(found.label_HW)) <= {0, 2, 7, CONTESTED}
    cue = seed_rule.cues(maps, tags, seed_threshold=0.2, background_fraction=0.1,
                      height_px=12, width_px=15)  # fmt: skip
    assert set(np.unique(cue)) <= {0, 2, 7, VOID}
