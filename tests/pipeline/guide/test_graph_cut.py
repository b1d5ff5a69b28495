"""Seeds by colour models and a graph cut: objects of one colour, and what the cut must keep."""

import cv2
import numpy as np
import pytest

from pipeline.guide import graph_cut, labels
from tests.pipeline.guide.test_labels import CHANCE, RULE

RED, GREEN, GREY = (200, 60, 60), (60, 180, 60), (90, 90, 90)


@pytest.fixture
def scene(rng):
    """A grey image of 40x80 px with a red and a green square, and a map that points into each."""
    image = np.full((40, 80, 3), GREY, np.int64)
    image[10:30, 10:30], image[10:30, 50:70] = RED, GREEN
    y, x = np.mgrid[:40, :80]
    maps = np.stack([np.exp(-np.hypot(y - 20, x - c) / 6) for c in (20, 60)])
    noisy = (image + rng.integers(0, 20, image.shape)).astype(np.uint8)
    return noisy, maps.astype(np.float32)


def test_the_object_is_cut_out_from_a_map_that_shows_a_part_of_it(scene):
    image, maps = scene
    mask = graph_cut.segment(maps[0], image)
    expected = np.zeros((40, 80), bool)
    expected[10:30, 10:30] = True
    assert (maps[0] >= np.quantile(maps[0], 0.95))[expected].sum() < 0.5 * expected.sum()
    assert (mask == expected).all()


def test_each_tag_takes_its_own_object(scene):
    image, maps = scene
    label = graph_cut.seed_labels(maps, np.array([7, 3], np.uint8), image)
    expected = np.zeros((40, 80), np.uint8)
    expected[10:30, 10:30], expected[10:30, 50:70] = 7, 3
    assert (label == expected).all() and label.dtype == np.uint8


def test_where_two_masks_overlap_the_stronger_map_wins(scene):
    image, maps = scene
    same = np.stack([maps[0], np.roll(maps[0], 4, axis=1)])  # both point into the red square
    label = graph_cut.seed_labels(same, np.array([1, 2], np.uint8), image)
    assert set(np.unique(label[10:30, 10:30])) == {1, 2} and not label[:, 40:].any()
    assert (label[20, 10:21] == 1).all() and (label[20, 24:30] == 2).all()


def test_small_maps_grow_to_the_image(scene):
    image, maps = scene
    label = graph_cut.seed_labels(maps[:1, 2::4, 2::4], np.array([1], np.uint8), image)
    assert (label == 1)[10:30, 10:30].mean() > 0.95 and (label == 1).mean() < 0.2


def test_the_pixels_that_teach_the_colours_keep_their_side(scene):
    """The lowest values lie in the object itself: they stay background."""
    image, maps = scene
    moved = maps[0].copy()
    moved[28:30] = 0
    moved[:28] += 0.01
    moved[30:] += 0.01
    mask = graph_cut.segment(moved, image)
    assert not mask[28:30].any() and mask[12:26, 12:28].all()


def test_only_the_largest_component_stays(scene):
    """A second red square, smaller and apart, has the colours of the object."""
    image, maps = scene
    image[2:8, 36:44] = RED
    mask = graph_cut.segment(maps[0], image)
    assert mask[10:30, 10:30].all() and not mask[:, 34:].any()


def test_maps_without_a_peak_and_images_without_tags(scene):
    image, maps = scene
    assert not graph_cut.segment(np.zeros((40, 80), np.float32), image).any()
    assert graph_cut.segment(np.ones((40, 80), np.float32), image).all()  # nothing is low
    none = graph_cut.seed_labels(maps[:0], np.zeros(0, np.uint8), image)
    assert none.shape == (40, 80) and not none.any()


def test_the_same_image_gives_the_same_mask_again(scene, rng):
    """Whatever OpenCV has drawn before: k-means starts at random."""
    for _ in range(5):
        image, masks = rng.integers(0, 255, (40, 80, 3), dtype=np.uint8), []
        for seed in range(4):
            cv2.setRNGSeed(seed)
            masks.append(graph_cut.segment(scene[1][0], image))
        assert all((mask == masks[0]).all() for mask in masks)


def test_the_seed_rule_chooses(scene):
    image, maps = scene
    rule = RULE.model_copy(update={"seed_rule": "graph_cut", "rule": "seeds_only"})
    saliency, tags = np.zeros((40, 80), np.float32), np.array([7, 3], np.uint8)
    found = labels.fused(maps, tags, saliency, rule, chance=CHANCE, image_HW3=image).seeds_HW
    assert (found == graph_cut.seed_labels(maps, tags, image)).all()
    plain = labels.fused(maps, tags, saliency, RULE, chance=CHANCE, image_HW3=image).seeds_HW
    assert (plain != found).any()
