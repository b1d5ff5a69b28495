"""Counts of the chain's links as scores and as tables for `dvc plots`.

Scores are in percent, None where there is nothing to score. C = 1 + K classes, N images.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np

from pipeline import localise, metrics, saliency_scores, seed_curve
from pipeline.arrays import Float, Int, Mask
from pipeline.blocks import SUPERVISIONS
from pipeline.formats import Sample
from pipeline.tally import Tallies

Row = tuple[Any, ...]
Score = dict[str, float | None]

# columns of the tables
CURVE = ("threshold", "mIoU", "fg_precision", "fg_recall", "bg_precision", "bg_recall")
AP = ("split", "class", "AP", "point_AP")
SALIENCY_CURVE = ("threshold", "precision", "recall", "F")
IOU = ("link", "split", "class", "iou")
IMAGES = ("link", "split", "id", "mIoU")


def percent(value: float) -> float | None:
    """A share as percent with two decimals; None for nan."""
    return None if np.isnan(value) else round(100 * value, 2)


def mean(values: Float) -> float:
    """Mean of what is no nan; nan of nothing."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _interval(name: str, confusion_NCC: Int) -> Score:
    """The ends of the bootstrap interval; one seed for all, so that a score moves alone."""
    ends = metrics.mean_iou_interval(confusion_NCC, rng=np.random.default_rng(0))
    return {f"{name}_{end}": percent(v) for end, v in zip(("low", "high"), ends, strict=True)}


def labels(tallies: Tallies) -> dict[str, dict[str, Score]]:
    """Every label link's score on every split."""
    out: dict[str, dict[str, Score]] = defaultdict(dict)
    for (link, split), tally in sorted(tallies.items()):
        total = tally.total_CC
        score = {"mIoU": percent(metrics.mean_iou(total))}
        score |= _interval("mIoU", np.stack(tally.confusion))
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


def maps(rows_NM4: Sequence[Int], *, classes: int) -> tuple[Score, list[Row]]:
    """The class maps' scores, and their curve: CURVE's columns."""
    total = seed_curve.summed(rows_NM4, classes=classes)
    if not total.any():
        return {}, []
    curve = seed_curve.score(total)
    best, threshold = curve.best  # read off the ground truth: a diagnosis
    at_best = seed_curve.confusion(rows_NM4, step=curve.best_step, classes=classes)
    found: Score = {"best_mIoU": percent(best), "best_threshold": threshold}
    found |= _interval("best_mIoU", at_best) | {"mP": percent(curve.mp)}
    foreground = (curve.fg_precision_T, curve.fg_recall_T)
    columns = (curve.miou_T, *foreground, curve.bg_precision_T, curve.bg_recall_T)
    return found, [
        (f"{t:.2f}", *(f"{100 * v:.2f}" for v in values))
        for t, *values in zip(seed_curve.THRESHOLDS, *columns, strict=True)
    ]


def localisation(probability_NK: Float, marks_N4K: Mask) -> tuple[Score, Float]:
    """Boxes round the maps and their highest points (`localise.judge`); and the points' AP (K,)."""
    box, point, present, ignored = np.moveaxis(marks_N4K, 1, 0)
    there = present.any(axis=1)
    error = {n: localise.error(probability_NK[there], box[there], best=n) for n in (1, 5)}
    ap_K = localise.pointwise_ap(probability_NK, point, present, ignored)
    return {
        "top1_error": percent(error[1]),
        "top5_error": percent(error[5]),
        "point_mAP": percent(mean(ap_K)),
    }, ap_K


def classifier(
    probability: Mapping[str, Sequence[float] | Float],
    tags: Mapping[str, Sequence[str]],
    classes: Sequence[str],
    *,
    difficult: Mapping[str, Sequence[str]],
) -> Float:
    """Average precision (K,), by image id; an image does not count for its difficult tags."""
    ap = []
    for k, name in enumerate(classes):
        ids = [key for key in tags if name not in difficult.get(key, ())]
        scores = np.array([probability[key][k] for key in ids])
        ap.append(metrics.average_precision(scores, np.array([name in tags[key] for key in ids])))
    return np.array(ap)


def saliency(
    histogram_N2L: Int, structure_N: Float, *, threshold: float
) -> tuple[dict[str, Score], list[Row]]:
    """The saliency maps' scores, cut at `threshold` and at the released 0.5; and their curve."""
    cut, half = (saliency_scores.confusion(histogram_N2L, threshold=t) for t in (threshold, 0.5))
    precision_L, recall_L, f_L = saliency_scores.curve(histogram_N2L)
    found: dict[str, Score] = {
        "saliency": {
            "IoU": percent(float(metrics.iou(cut.sum(axis=0))[1])),
            "mean_IoU": percent(mean(metrics.iou(cut)[:, 1])),
            "max_F": percent(float(f_L.max())),
            "MAE": percent(mean(saliency_scores.absolute_error(histogram_N2L))),
            "S_measure": percent(mean(structure_N)),
        },
        "saliency_half": {"IoU": percent(float(metrics.iou(half.sum(axis=0))[1]))},
    }
    columns = zip(saliency_scores.LEVELS, precision_L, recall_L, f_L, strict=True)
    return found, [(f"{t:.3f}", *(f"{100 * v:.2f}" for v in values)) for t, *values in columns]


def last_link(tallies: Tallies) -> tuple[str, str] | None:
    """The last link of the segmenters, and the split that counts: val where there is one."""
    for link in (f"refined_{s}" for s in SUPERVISIONS):
        for split in ("val", "train"):
            if (link, split) in tallies:
                return link, split
    return None


def per_class_ap(split: str, classes: Sequence[str], ap_K: Float, point_ap_K: Float) -> list[Row]:
    """(split, class, average precision of the classifier, of the maps' highest points)."""
    both = zip(classes, ap_K, point_ap_K, strict=True)
    return [(split, name, f"{100 * ap:.2f}", f"{100 * point:.2f}") for name, ap, point in both]


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
