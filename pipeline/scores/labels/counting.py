"""Count label images against the truth, one image at a time in a process pool.

The workers send back only counts. C = 1 + K classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline.core import formats, runtime, shards
from pipeline.core.arrays import VOID, Int
from pipeline.core.samples import Sample
from pipeline.scores.shared import metrics
from pipeline.scores.shared.scored import Scored


@dataclass
class Tally:
    """The counts of a link's label images on one split, one entry for each image."""

    ids: list[str] = field(default_factory=list)
    confusion: list[Int] = field(default_factory=list)  # (C, C + 1) each, `metrics.confusion`
    boundary: list[Int] = field(default_factory=list)  # (3, C) each; empty if not asked for
    several_tags: set[str] = field(default_factory=set)  # the ids with two or more tags

    @property
    def total_CC(self) -> Int:
        """The confusion matrix (C, C + 1), summed over images."""
        return np.sum(self.confusion, axis=0)


Tallies = dict[tuple[str, str], Tally]  # by (link, split)

Folders = Mapping[str, Path]  # link -> the folder of its label images, ID.png


def count(
    folders: Folders, scored: Scored, *, classes: int, title: str, boundary: bool = False
) -> Tallies:
    """Count the label images of every link. An image without a file of a link is left out there.

    Args:
        folders: The folder of each link.
        scored: The images to score and their masks.
        classes: C.
        title: The name that the progress bar shows.
        boundary: Whether to count pixels near borders too.
    """
    tallies: Tallies = {}
    jobs = [(folders, sample.id, mask, classes, boundary) for sample, mask in scored]
    each_image = runtime.pool_map(_one, jobs, title=title)
    for (sample, _), links in zip(scored, each_image, strict=True):
        for link, (confusion, near) in links.items():
            tally = tallies.setdefault((link, sample.split), Tally())
            tally.ids.append(sample.id)
            tally.confusion.append(confusion)
            if len(set(sample.tags)) > 1:
                tally.several_tags.add(sample.id)
            if near is not None:
                tally.boundary.append(near)
    return tallies


def shown(folder: Path, samples: Sequence[Sample], *, title: str) -> dict[str, frozenset[int]]:
    """Return the classes that each label image in `folder` shows, by image id.

    Samples without a label image are left out.
    """
    path_of = {s.id: path for s in samples if shards.exists(path := folder / f"{s.id}.png")}
    shown_classes = runtime.pool_map(_classes, [*path_of.values()], title=title)
    return dict(zip(path_of, shown_classes, strict=True))


def _classes(path: Path) -> frozenset[int]:
    return frozenset(np.unique(formats.read_label(path)).tolist()) - {0, VOID}


def _one(job: tuple[Folders, str, Path, int, bool]) -> dict[str, tuple[Int, Int | None]]:
    folders, key, mask, classes, boundary = job
    truth, out = formats.read_label(mask), {}
    for link, folder in folders.items():
        if shards.exists(path := folder / f"{key}.png"):
            label = formats.read_label(path)
            near = metrics.boundary_counts(label, truth, classes=classes) if boundary else None
            out[link] = metrics.confusion(label, truth, classes=classes), near
    return out
