"""Scores of label images (seeds, fused and guide labels, segmenters), and their tables.

Scores are in percent, None where there is nothing to score. C = 1 + K classes, N images.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set

import numpy as np

from pipeline.core.arrays import Int
from pipeline.core.samples import Sample
from pipeline.core.supervision import SUPERVISIONS
from pipeline.scores.labels.counting import Tallies
from pipeline.scores.shared import metrics
from pipeline.scores.shared.percent import Row, Score, interval, mean, percent

IOU = ("link", "split", "class", "iou")

IMAGES = ("link", "split", "id", "mIoU")


def labels(tallies: Tallies) -> dict[str, dict[str, Score]]:
    """Every label link's score on every split."""
    out: dict[str, dict[str, Score]] = defaultdict(dict)
    for (link, split), tally in sorted(tallies.items()):
        total = tally.total_CC
        score = {"mIoU": percent(metrics.mean_iou(total))}
        score |= interval("mIoU", np.stack(tally.confusion))
        if tally.boundary:
            score["boundary_IoU"] = percent(metrics.boundary_iou(np.sum(tally.boundary, axis=0)))
            score["fwIoU"] = percent(metrics.frequency_weighted_iou(total))
            score["pixel_accuracy"] = percent(metrics.pixel_accuracy(total))
        out[link][split] = score
    return dict(out)


def agreement(
    shown: Mapping[str, Set[int]], samples: Sequence[Sample], classes: Sequence[str]
) -> dict[str, Score]:
    """How label images agree with the tags, which says something where there is no mask.

    Args:
        shown: the class indices in each label image.
        samples: the images; those without a label image are left out.
        classes: the names of 1, 2, ...

    Returns:
        For each split `tags_found`, the share of the tags whose class has a pixel, and
        `untagged`, the share of the images in which a class has one that is no tag.
    """
    out: dict[str, Score] = {}
    for split in ("train", "val"):
        both = [
            (shown[s.id], {classes.index(t) + 1 for t in s.tags})
            for s in samples
            if s.split == split and s.id in shown
        ]
        if both:
            found = [index in there for there, tags in both for index in tags]
            more = [bool(there - tags) for there, tags in both]
            out[split] = {
                "tags_found": percent(mean(np.array(found, float))),
                "untagged": percent(mean(np.array(more, float))),
            }
    return out


def last_link(tallies: Tallies) -> tuple[str, str] | None:
    """The last link of the segmenters, and the split that counts: val where there is one."""
    for link in (f"refined_{s}" for s in SUPERVISIONS):
        for split in ("val", "train"):
            if (link, split) in tallies:
                return link, split
    return None


def per_image(tallies: Tallies) -> list[Row]:
    """(link, split, id, mIoU) of every label image."""
    return [
        (link, split, key, f"{100 * metrics.mean_iou(counts):.2f}")
        for (link, split), tally in sorted(tallies.items())
        for key, counts in zip(tally.ids, tally.confusion, strict=True)
    ]


def per_class(tallies: Tallies, names: Sequence[str]) -> list[Row]:
    """(link, split, class, IoU) of every label link."""
    return [
        (link, split, name, f"{100 * value:.2f}")
        for (link, split), tally in sorted(tallies.items())
        for name, value in zip(names, metrics.iou(tally.total_CC), strict=True)
    ]


def confusion_pairs(counts_CC: Int, names: Sequence[str]) -> Iterable[Row]:
    """(truth, prediction) pairs, 1000 a true class: the form that `dvc plots` draws."""
    for i, name in enumerate(names):
        share = counts_CC[i] / max(1, counts_CC[i].sum())
        for j, predicted in enumerate([*names, "void"]):
            yield from [(name, predicted)] * round(1000 * share[j])
