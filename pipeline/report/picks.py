"""Pick what is shown: the images of the report, and the classes of an image."""

import random
from collections.abc import Sequence

import numpy as np

from pipeline.core.arrays import Float, Int
from pipeline.core.samples import Sample
from pipeline.report.config import Report

CLASSES_SHOWN = 5


def most_probable(probability_K: Float) -> Int:
    """Return the indices, from 0, of the most probable classes; the highest probability first."""
    return np.argsort(-probability_K, kind="stable")[:CLASSES_SHOWN]


def choose(samples: Sequence[Sample], count: int, *, random_seed: int) -> list[Sample]:
    """Choose the images of the page, in their order: all, or `count` of them.

    Images of val come first, because only they show what the segmenter does with new images.
    """
    order = random.Random(random_seed).sample(range(len(samples)), len(samples))
    ranked = sorted(order, key=lambda i: samples[i].split != "val")
    return [samples[i] for i in sorted(ranked[:count])]


def pick(
    scored: Sequence[tuple[Sample, float | None]], report: Report, *, random_seed: int
) -> list[tuple[str, Sample]]:
    """Pick the best, the worst and random images of val, or of train if val has no scores.

    If no image has a score, random images of all splits are picked.

    Args:
        scored: The images with their scores.
        report: How many images of each group to pick.
        random_seed: Seeds the random picks.

    Returns:
        The group and the image of each pick.
    """
    splits = {s.split for s, score in scored if score is not None}
    among = [pair for pair in scored if not splits or pair[0].split == max(splits)]
    known = [(-score, s.id, s) for s, score in among if score is not None]
    ranked = [s for *_, s in sorted(known, key=lambda k: k[:2])]
    best = ranked[: report.best]
    worst = ranked[max(report.best, len(ranked) - report.worst) :][::-1]
    left = [s for s, _ in among if s not in best and s not in worst]
    chosen = random.Random(random_seed).sample(left, min(report.random, len(left)))
    groups = {"best": best, "worst": worst, "random": chosen}
    return [(group, s) for group, images in groups.items() for s in images]
