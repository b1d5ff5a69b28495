"""Scores of saliency maps against the truth's foreground, whatever its class.

Shapes: H, W image size in px, N images, L = 256 grey levels, P pixels. Void pixels of the truth
never count. Maps are scored as their files hold them: divided by their maximum, with no shift of
their minimum to 0.
"""

import numpy as np

from pipeline.core.arrays import VOID, Float, Int, Mask, UInt8
from pipeline.scores.shared import metrics
from pipeline.scores.shared.percent import Row, Score, mean, percent

LEVELS = np.arange(256, dtype=np.float32) / 255
SALIENCY_CURVE = ("threshold", "precision", "recall", "F")
TRAINED_ON = {
    "net": "boxes or masks of classes outside the list",
    "onnx": "what its makers say; off-the-shelf models learn from pixel masks",
    "folder": "maps brought by the user",
    "classical": "nothing",
    "oracle": "the ground truth itself",
    "none": "nothing: no pixel is salient, the seeds stand alone",
}
BETA2 = 0.3  # precision counts more (Achanta et al., CVPR 2009)


def histogram(map_HW: Float, truth_HW: UInt8) -> Int:
    """Count the pixels of background and foreground by grey level: (2, L)."""
    known = truth_HW != VOID
    level = np.round(map_HW[known] * 255).astype(np.int64)
    return np.bincount(256 * (truth_HW[known] > 0) + level, minlength=512).reshape(2, 256)


def confusion(histogram_N2L: Int, *, threshold: float) -> Int:
    """Cut maps (foreground >= `threshold`) and count pixels (N, 2, 2), rows truth."""
    above = histogram_N2L[..., threshold <= LEVELS].sum(axis=-1)
    return np.stack([histogram_N2L.sum(axis=-1) - above, above], axis=-1)


def curve(histogram_N2L: Int) -> tuple[Float, Float, Float]:
    """Return precision, recall and F (L,) at every threshold, each a mean over images.

    Images without foreground are left out. Precision is 0 if no pixel is predicted as foreground.
    """
    hist = histogram_N2L[histogram_N2L[:, 1].any(axis=1)]
    if len(hist) == 0:
        return (np.full(256, np.nan),) * 3
    false, hit = np.moveaxis(np.cumsum(hist[..., ::-1], axis=-1)[..., ::-1], 1, 0).astype(float)
    precision, recall = hit / np.maximum(hit + false, 1), hit / hit[:, :1]
    weighted = BETA2 * precision + recall
    f = (1 + BETA2) * precision * recall / np.where(weighted > 0, weighted, 1)
    return precision.mean(axis=0), recall.mean(axis=0), f.mean(axis=0)


def absolute_error(histogram_N2L: Int) -> Float:
    """Return each image's mean absolute difference of map and truth (N,); nan if all void."""
    difference = histogram_N2L[:, 0] @ LEVELS.astype(float) + histogram_N2L[:, 1] @ (1.0 - LEVELS)
    pixels = histogram_N2L.sum(axis=(1, 2))
    return np.divide(difference, pixels, out=np.full(len(pixels), np.nan), where=pixels > 0)


def s_measure(map_HW: Float, truth_HW: UInt8) -> float:
    """Return the structure measure: half object-aware, half region-aware similarity (alpha 0.5).

    Means and variances are over known pixels alone. Without void pixels, this is the paper's
    measure. An image that is all void gives nan.

    Source: Fan et al., ICCV 2017. As in the released code, the regions meet at the rounded
    centroid.
    """
    known, value = truth_HW != VOID, map_HW.astype(float)
    foreground = known & (truth_HW > 0)
    if not known.any():
        return float("nan")
    share = foreground.sum() / known.sum()
    if share == 0:
        return float(1 - value[known].mean())
    if share == 1:
        return float(value[known].mean())
    inside, outside = _alike(value[foreground]), _alike(1 - value[known & ~foreground])
    objects = share * inside + (1 - share) * outside
    return float(max(0.0, (objects + _regions(value, foreground, known)) / 2))


def _alike(value_P: Float) -> float:
    """Rate values by equation 4: a high mean and a low spread are good."""
    mean, spread = value_P.mean(), value_P.std(ddof=1) if len(value_P) > 1 else 0.0
    return float(2 * mean / (mean**2 + 1 + spread))


def _regions(value_HW: Float, foreground_HW: Mask, known_HW: Mask) -> float:
    """Compare four parts that meet at the foreground's centroid, weighted by known area (3.1)."""
    row, column = np.round(np.argwhere(foreground_HW).mean(axis=0)).astype(int) + 1
    parts = [
        (rows, columns)
        for rows in (slice(row), slice(row, None))
        for columns in (slice(column), slice(column, None))
    ]
    score = 0.0
    for part in parts:
        if (known := known_HW[part]).any():
            truth = foreground_HW[part][known].astype(float)
            score += len(truth) * _structure(value_HW[part][known], truth)
    return score / known_HW.sum()


def _structure(value_P: Float, truth_P: Float) -> float:
    """Return a part's SSIM without the stabilising constants."""
    x, y = value_P.mean(), truth_P.mean()
    count = max(1, len(value_P) - 1)
    dx, dy = value_P - x, truth_P - y
    numerator = 4 * x * y * (dx @ dy / count)
    denominator = (x**2 + y**2) * ((dx @ dx + dy @ dy) / count)
    if numerator == 0:
        return 1.0 if denominator == 0 else 0.0
    return float(numerator / denominator)


def summary(
    histogram_N2L: Int, structure_N: Float, *, threshold: float
) -> tuple[dict[str, Score], list[Row]]:
    """Return the saliency maps' scores, and the rows of their curve.

    The rows have the columns SALIENCY_CURVE. IoU is scored at `threshold` and at 0.5, as in the
    released code.
    """
    cut, half = (confusion(histogram_N2L, threshold=t) for t in (threshold, 0.5))
    precision_L, recall_L, f_L = curve(histogram_N2L)
    scores: dict[str, Score] = {
        "saliency": {
            "IoU": percent(float(metrics.iou(cut.sum(axis=0))[1])),
            "mean_IoU": percent(mean(metrics.iou(cut)[:, 1])),
            "max_F": percent(float(f_L.max())),
            "MAE": percent(mean(absolute_error(histogram_N2L))),
            "S_measure": percent(mean(structure_N)),
        },
        "saliency_half": {"IoU": percent(float(metrics.iou(half.sum(axis=0))[1]))},
    }
    columns = zip(LEVELS, precision_L, recall_L, f_L, strict=True)
    return scores, [(f"{t:.3f}", *(f"{100 * v:.2f}" for v in values)) for t, *values in columns]
