"""Negative and positive controls: what must score at chance does, and what is right scores as such.

No network runs. Class maps, saliency and predictions are made from the masks of generated images.
"""

import dataclasses

import cv2
import numpy as np
import pytest

from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.core.samples import read_samples, read_tag_scores, write_samples
from pipeline.scores.seed import seed_scores

SHAPES = {"train": 40, "val": 20, "boxed": 2, "size_px": 96}


@pytest.fixture
def project(copy):
    copy.change({"data": {"options": {"shapes": SHAPES}}})
    copy.stages("generate", "prepare")
    return copy


def truths(layout):
    """Return the mask of every image, by id."""
    ids = [s.id for s in read_samples(layout.samples)]
    return {key: formats.read_label(layout.labels("full") / f"{key}.png") for key in ids}


def core(mask):
    """Return a map that is highest in the middle of each object of the mask, as class maps are."""
    return cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5) ** 3


def blobs(rng, shape):
    """Return a saliency map of random blobs of about the size of an object."""
    noise = cv2.GaussianBlur(rng.random(shape), (0, 0), shape[0] / 10)
    return (noise - noise.min()) / np.ptp(noise)


def guide_scores(project, *, seeds, saliency, seen=core):
    """Make guide labels from given masks, and return the mIoU of train with its chance level.

    `seeds` holds, for each id, the mask whose classes are the tags and whose regions are the seeds.
    """
    layout = Layout(project.root)
    for key, label in seeds.items():
        tags = np.array([c for c in np.unique(label) if c not in (0, 255)], np.uint8)
        maps = np.stack([seen(label == tag) for tag in tags]).astype(np.float32)
        formats.write_maps(layout.maps / f"{key}.npz", maps / maps.max(), tags)
        formats.write_grey(layout.saliency("net") / f"{key}.png", saliency[key])
    project.stages("fuse", "diffuse", "evaluate_guide")
    scores = formats.read_json(layout.scores("guide"))
    return {link: scores[link]["train"]["mIoU"] for link in ("seeds", "guide", "chance")}


@pytest.fixture
def masks(project):
    return truths(Layout(project.root))


def oracle(masks):
    return {key: mask > 0 for key, mask in masks.items()}


def shuffled(rng, by_id):
    """Give each image what belongs to another one."""
    others = rng.permutation([*by_id])
    return {key: by_id[other] for key, other in zip(by_id, others, strict=True)}


@pytest.mark.parametrize("seen", [core, np.array], ids=["middle", "whole object"])
def test_right_seeds_and_oracle_saliency_reach_the_bound(project, masks, seen):
    """The rest is lost where objects of two classes touch."""
    found = guide_scores(project, seeds=masks, saliency=oracle(masks), seen=seen)
    assert found["guide"] > 95


def test_shuffled_tags_score_near_chance(project, masks, rng):
    """Saliency is right, so what is left above chance is the background and tags right by luck."""
    found = guide_scores(project, seeds=shuffled(rng, masks), saliency=oracle(masks))
    assert abs(found["seeds"] - found["chance"]) < 5
    assert found["chance"] < found["guide"] < found["chance"] + 12


def test_random_saliency_does_not_help_right_seeds(project, masks, rng):
    """Random blobs make the seeds worse. Noise, one component over all, brings them to chance."""
    random = {key: blobs(rng, mask.shape) for key, mask in masks.items()}
    found = guide_scores(project, seeds=masks, saliency=random)
    assert found["chance"] < found["guide"] < found["seeds"] < 50
    noise = {key: rng.random(mask.shape) for key, mask in masks.items()}
    found = guide_scores(project, seeds=masks, saliency=noise)
    assert found["guide"] < found["chance"] + 5


@pytest.mark.slow
@pytest.mark.parametrize("shuffle", [False, True], ids=["tags", "shuffled tags"])
def test_a_classifier_learns_from_tags_and_not_from_shuffled_ones(copy, rng, shuffle):
    """Val keeps its tags. Its images in random order say what a classifier can score by luck."""
    copy.change({
        "data": {"options": {"shapes": {**SHAPES, "train": 120, "val": 40, "size_px": 64}}},
        "seed": {"train": {"epochs": 6, "size_px": 64},
                 "maps": {"size_px": 64, "scales": [1.0], "flip": False}},
    })  # fmt: skip
    copy.stages("generate", "prepare")
    layout = Layout(copy.root)
    samples = read_samples(layout.samples)
    if shuffle:
        tags = {s.id: s.tags for s in samples if s.split == "train"}
        tags = shuffled(rng, tags)
        samples = [dataclasses.replace(s, tags=tags.get(s.id, s.tags)) for s in samples]
        write_samples(layout.samples, samples)
    copy.stages("train_seed", "seed", "evaluate_seed")
    score = formats.read_json(layout.scores("seed"))["classifier"]["val"]["mAP"]
    classes = formats.read_json(layout.classes)
    tags = {s.id: s.tags for s in samples if s.split == "val"}
    probability = read_tag_scores(layout.tag_scores, classes)
    probability = {key: probability[key] for key in tags}
    luck = [
        np.nanmean(seed_scores.classifier(shuffled(rng, probability), tags, classes, difficult={}))
        for _ in range(200)
    ]
    assert (score > 100 * np.quantile(luck, 0.99)) == (not shuffle), (score, np.mean(luck))
