"""Pick what is shown: the images of the report, and the classes of an image."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.core.arrays import Float, Int
from pipeline.core.samples import Sample
from pipeline.report.config import Report

CLASSES_SHOWN = 5


def most_probable(probability_K: Float) -> Int:
    """Return the indices, from 0, of the most probable classes; the highest probability first."""
    return np.argsort(-probability_K, kind="stable")[:CLASSES_SHOWN]


@dataclass(frozen=True)
class Pick:
    """An image to show. `miou` is in percent, and empty if the image was not scored."""

    group: str
    id: str
    miou: str


def pick(
    samples: Sequence[Sample],
    scored: Sequence[dict[str, Any]],
    report: Report,
    *,
    random_seed: int,
) -> list[Pick]:
    """Pick the best, the worst and random images of val, or of train if val has no scores.

    If no image was scored, random images of all splits are picked.

    Args:
        samples: all images.
        scored: rows with split, id and mIoU.
        report: how many images of each group to pick.
        random_seed: seeds the random picks.
    """
    split = "val" if any(r["split"] == "val" for r in scored) else "train"
    ranked = sorted(
        (r for r in scored if r["split"] == split and r["mIoU"] != "nan"),
        key=lambda r: (-float(r["mIoU"]), r["id"]),
    )
    best = [r["id"] for r in ranked[: report.best]]
    worst = [r["id"] for r in ranked[max(report.best, len(ranked) - report.worst) :][::-1]]
    candidates = [
        s.id for s in samples if s.id not in {*best, *worst} and (s.split == split or not scored)
    ]
    count = min(report.random, len(candidates))
    chosen = random.Random(random_seed).sample(candidates, count)
    miou = {r["id"]: r["mIoU"] for r in scored}
    groups = {"best": best, "worst": worst, "random": chosen}
    return [Pick(group, key, miou.get(key, "")) for group, keys in groups.items() for key in keys]
