"""Where two sets of labels disagree, image by image. This needs no truth.

Shapes: H, W image size in px, C = 1 + K classes with the background.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.core.arrays import VOID, Int, UInt8
from pipeline.scores.shared import metrics
from pipeline.scores.shared.percent import Row, Score, percent

COLUMNS = ("split", "id", "mIoU", "foreground_IoU")


def count(label_HW: UInt8, other_HW: UInt8, *, classes: int) -> Int:
    """Count pixels by the classes of both labels (C, C + 1). Pixels void in one do not count.

    Args:
        label_HW: The labels of one set.
        other_HW: Those of the other, whose classes are the rows.
        classes: C.
    """
    other_known = np.where(label_HW == VOID, VOID, other_HW).astype(np.uint8)
    return metrics.confusion(label_HW, other_known, classes=classes)


def foreground_iou(counts_CC: Int) -> float:
    """Return the IoU of all classes taken as one; 1 if neither label shows any, nan if all is void.

    Takes counts (C, C + 1).
    """
    known, both_background = counts_CC.sum(), counts_CC[0, 0]
    if not known:
        return float("nan")
    union = known - both_background
    return float(counts_CC[1:, 1:].sum() / union) if union else 1.0


def table(counts: Mapping[tuple[str, str], Int]) -> list[Row]:
    """Return rows with the columns COLUMNS, in percent, the greatest disagreement first.

    An image whose pixels are all void in one of the two is left out.

    Args:
        counts: By (split, id), what `count` returns.
    """
    values = [
        (metrics.mean_iou(matrix), foreground_iou(matrix), split, key)
        for (split, key), matrix in counts.items()
        if matrix.any()
    ]
    return [(s, key, f"{100 * m:.2f}", f"{100 * f:.2f}") for m, f, s, key in sorted(values)]


def scores(counts: Mapping[tuple[str, str], Int], *, other: str) -> dict[str, Score]:
    """Return, for each split, the mIoU of the two sets with each other.

    Args:
        counts: By (split, id), what `count` returns.
        other: The name of the other set, for the name of the score.
    """
    totals: dict[str, Any] = {}
    for (split, _), matrix in counts.items():
        totals[split] = totals.get(split, 0) + matrix
    return {
        split: {f"mIoU_with_{other}": percent(metrics.mean_iou(total))}
        for split, total in sorted(totals.items())
    }
