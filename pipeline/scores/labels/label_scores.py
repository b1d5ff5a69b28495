"""Scores of label images (seeds, fused and guide labels, segmenters), and their tables.

Scores are in percent; None means that there is nothing to score. C = 1 + K classes, N images.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np

from pipeline.core.arrays import Int
from pipeline.core.samples import Sample
from pipeline.core.supervision import SUPERVISIONS
from pipeline.scores.labels.counting import Tallies, Tally
from pipeline.scores.shared import metrics
from pipeline.scores.shared.percent import (
    Row,
    Score,
    difference,
    full_supervision_share,
    interval,
    mean,
    percent,
)

IOU = ("link", "split", "class", "iou")

IMAGES = ("link", "split", "id", "mIoU")

SEVERAL_TAGS = "several_tags_mIoU"  # the mIoU over the images with two or more tags


def labels(tallies: Tallies) -> dict[str, dict[str, Score]]:
    """Return the scores of each link that makes label images, by link and split.

    The images with two or more tags are also scored by themselves, where there are any.
    """
    out: dict[str, dict[str, Score]] = defaultdict(dict)
    for (link, split), tally in sorted(tallies.items()):
        total, score = tally.total_CC, Score()
        for name, (_, confusion) in _scored_images(tally).items():
            score[name] = percent(metrics.mean_iou(confusion.sum(axis=0)))
            score |= interval(name, confusion)
        if tally.several_tags:
            score["several_tags_images"] = len(tally.several_tags)
        if tally.boundary:
            score["boundary_IoU"] = percent(metrics.boundary_iou(np.sum(tally.boundary, axis=0)))
            score["fwIoU"] = percent(metrics.frequency_weighted_iou(total))
            score["pixel_accuracy"] = percent(metrics.pixel_accuracy(total))
        out[link][split] = score
    return dict(out)


def chance(tallies: Tallies, link: str) -> dict[str, Score]:
    """Return the mIoU of labels that are all background, by split, on the images of `link`."""
    return {
        split: {"mIoU": percent(metrics.mean_iou(metrics.all_background(tally.total_CC)))}
        for (name, split), tally in sorted(tallies.items())
        if name == link
    }


def _scored_images(tally: Tally) -> dict[str, tuple[list[str], Int]]:
    """Return the ids and the counts (N, C, C + 1) behind each mIoU."""
    out = {"mIoU": (tally.ids, np.stack(tally.confusion))}
    if tally.several_tags:
        chosen = [i for i, key in enumerate(tally.ids) if key in tally.several_tags]
        ids, confusion = out["mIoU"]
        out[SEVERAL_TAGS] = [ids[i] for i in chosen], confusion[chosen]
    return out


def image_counts(tallies: Tallies) -> dict[str, Any]:
    """Return the images behind each mIoU, so that runs can be compared image by image.

    LINK.SPLIT.SCORE holds the pixel counts (N, C, C + 1), int32, and LINK.SPLIT.SCORE.ids the ids.
    """
    out: dict[str, Any] = {}
    for (link, split), tally in sorted(tallies.items()):
        for name, (ids, confusion) in _scored_images(tally).items():
            path = f"{link}.{split}.{name}"
            out |= {path: confusion.astype(np.int32), f"{path}.ids": np.array(ids)}
    return out


def comparisons(tallies: Tallies, supervision: Sequence[str]) -> dict[str, dict[str, Score]]:
    """Compare each segmenter with the one of full masks, and with that of the first supervision.

    Both comparisons are paired: the two segmenters label the same images.

    Returns:
        By link and split: FS% where `full` ran too, and mIoU_minus_FIRST, each with its interval.
    """
    out: dict[str, dict[str, Score]] = defaultdict(dict)
    first = supervision[0]
    for (link, split), tally in sorted(tallies.items()):
        stage, _, own = link.partition("_")
        counts, score = np.stack(tally.confusion), Score()
        if own != "full" and (full := tallies.get((f"{stage}_full", split))):
            score |= full_supervision_share(counts, np.stack(full.confusion))
        if own != first and (other := tallies.get((f"{stage}_{first}", split))):
            score |= difference(f"mIoU_minus_{first}", counts, np.stack(other.confusion))
        if score:
            out[link][split] = score
    return dict(out)


def minus(tallies: Tallies, link: str, other: str, *, name: str) -> dict[str, Score]:
    """Return, for each split, one link's mIoU minus another's on the images that both label.

    Args:
        tallies: The counts of both links.
        link: One link.
        other: The other link.
        name: The name of the score.
    """
    out: dict[str, Score] = {}
    for (own, split), tally in sorted(tallies.items()):
        if own == link and (second := tallies.get((other, split))):
            counts = [dict(zip(t.ids, t.confusion, strict=True)) for t in (tally, second)]
            if both := [key for key in tally.ids if key in counts[1]]:
                pair = [np.stack([matrices[key] for key in both]) for matrices in counts]
                out[split] = difference(name, *pair)
    return out


def agreement(
    shown: Mapping[str, Set[int]], samples: Sequence[Sample], classes: Sequence[str]
) -> dict[str, Score]:
    """Compare label images with the tags. This needs no masks.

    Args:
        shown: The class indices in each label image.
        samples: The images. Those without a label image are left out.
        classes: The names of the classes 1, 2, ...

    Returns:
        For each split, `tags_found`, the share of the tags whose class has a pixel, and
        `untagged`, the share of the images that show a class without its tag.
    """
    out: dict[str, Score] = {}
    for split in ("train", "val"):
        both = [
            (shown[s.id], {classes.index(t) + 1 for t in s.tags})
            for s in samples
            if s.split == split and s.id in shown
        ]
        if both:
            found = [tag in shown_here for shown_here, tags in both for tag in tags]
            more = [bool(shown_here - tags) for shown_here, tags in both]
            out[split] = {
                "tags_found": percent(mean(np.array(found, float))),
                "untagged": percent(mean(np.array(more, float))),
            }
    return out


def last_link(tallies: Tallies) -> tuple[str, str] | None:
    """Return the segmenters' last link and its split: val, or train if val has no masks."""
    for link in (f"refined_{s}" for s in SUPERVISIONS):
        for split in ("val", "train"):
            if (link, split) in tallies:
                return link, split
    return None


def per_image(tallies: Tallies) -> list[Row]:
    """Return rows with the columns IMAGES: the mIoU of every label image."""
    return [
        (link, split, key, f"{100 * metrics.mean_iou(counts):.2f}")
        for (link, split), tally in sorted(tallies.items())
        for key, counts in zip(tally.ids, tally.confusion, strict=True)
    ]


def per_class(tallies: Tallies, names: Sequence[str]) -> list[Row]:
    """Return rows with the columns IOU: the IoU of every link and class."""
    return [
        (link, split, name, f"{100 * value:.2f}")
        for (link, split), tally in sorted(tallies.items())
        for name, value in zip(names, metrics.iou(tally.total_CC), strict=True)
    ]


def confusion_pairs(counts_CC: Int, names: Sequence[str]) -> Iterable[Row]:
    """Yield (truth, prediction) pairs, about 1000 for each true class; `dvc plots` draws them."""
    for i, name in enumerate(names):
        share = counts_CC[i] / max(1, counts_CC[i].sum())
        for j, predicted in enumerate([*names, "void"]):
            yield from [(name, predicted)] * round(1000 * share[j])
