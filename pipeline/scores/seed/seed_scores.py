"""Scores of the classifier and of its class maps, in the form of the score files and tables.

Scores are in percent; None means that there is nothing to score. K classes, N images.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.core.arrays import Float, Int, Mask
from pipeline.scores.seed import localise, seed_curve
from pipeline.scores.shared import metrics
from pipeline.scores.shared.percent import Row, Score, interval, mean, percent

# The columns of curve.tsv and of per_class.tsv.
CURVE = ("threshold", "mIoU", "fg_precision", "fg_recall", "bg_precision", "bg_recall")

AP = ("split", "class", "AP", "point_AP")


def maps(rows_NM4: Sequence[Int], *, classes: int) -> tuple[Score, list[Row]]:
    """Return the class maps' scores, and the rows of their curve with the columns CURVE."""
    total = seed_curve.summed(rows_NM4, classes=classes)
    if not total.any():
        return {}, []
    curve = seed_curve.score(total)
    best, threshold = curve.best  # chosen on the truth: a diagnosis, not a result
    at_best = seed_curve.confusion(rows_NM4, step=curve.best_step, classes=classes)
    scores: Score = {"best_mIoU": percent(best), "best_threshold": threshold}
    scores |= interval("best_mIoU", at_best) | {"mP": percent(curve.mp)}
    foreground = (curve.fg_precision_T, curve.fg_recall_T)
    columns = (curve.miou_T, *foreground, curve.bg_precision_T, curve.bg_recall_T)
    return scores, [
        (f"{t:.2f}", *(f"{100 * v:.2f}" for v in values))
        for t, *values in zip(seed_curve.THRESHOLDS, *columns, strict=True)
    ]


def localisation(probability_NK: Float, marks_N4K: Mask) -> tuple[Score, Float]:
    """Score the maps' boxes and highest points; also return the points' AP (K,).

    `marks_N4K` holds each image's `localise.judge`.
    """
    box, point, present, ignored = np.moveaxis(marks_N4K, 1, 0)
    shows_any = present.any(axis=1)
    error = {n: localise.error(probability_NK[shows_any], box[shows_any], best=n) for n in (1, 5)}
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
    """Return the classifier's average precision (K,).

    All mappings go by image id. An image does not count for its difficult tags.
    """
    ap = []
    for k, name in enumerate(classes):
        ids = [key for key in tags if name not in difficult.get(key, ())]
        scores = np.array([probability[key][k] for key in ids])
        ap.append(metrics.average_precision(scores, np.array([name in tags[key] for key in ids])))
    return np.array(ap)


def chance(
    tags: Mapping[str, Sequence[str]],
    classes: Sequence[str],
    *,
    difficult: Mapping[str, Sequence[str]],
) -> Score:
    """Return the mAP to expect of images in random order: the mean share of images with a class.

    Classes that no image has are left out, as in `classifier`, and so are difficult tags. Few
    images in random order score a little more, because AP takes the best precision to the right.
    """
    share = []
    for name in classes:
        has_N = [name in tags[key] for key in tags if name not in difficult.get(key, ())]
        share.append(np.mean(has_N) if any(has_N) else np.nan)
    return {"mAP": percent(mean(np.array(share)))}


def no_class(
    probability: Mapping[str, Sequence[float] | Float], tags: Mapping[str, Sequence[str]]
) -> Score:
    """Score 1 - the highest probability as evidence that an image holds no class of the list.

    Both mappings go by image id. Without images of both kinds, with tags and without, the result
    is empty.

    Returns:
        AUROC and AP, with the images without a tag as positives.
    """
    untagged = np.array([not tags[key] for key in tags])
    if untagged.all() or not untagged.any():
        return {}
    score = np.array([1 - max(probability[key]) for key in tags])
    return {
        "AUROC": percent(metrics.area_under_roc(score, untagged)),
        "AP": percent(metrics.average_precision(score, untagged)),
    }


def per_class_ap(split: str, classes: Sequence[str], ap_K: Float, point_ap_K: Float) -> list[Row]:
    """Return rows with the columns AP: the AP of the classifier and of the maps' highest points."""
    both = zip(classes, ap_K, point_ap_K, strict=True)
    return [(split, name, f"{100 * ap:.2f}", f"{100 * point:.2f}") for name, ap, point in both]
