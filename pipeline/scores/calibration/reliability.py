"""Reliability diagrams, their error (ECE), and the temperature that makes it smaller.

Shapes: N answers with a confidence, M pixels, C classes, B bins.
Source: Guo et al., ICML 2017, sections 2 and 4.2.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import expit, softmax

from pipeline.core.arrays import Float, Mask, UInt8
from pipeline.scores.shared.percent import Row

BINS = 15  # of equal width, as in the source
COLUMNS = ("confidence", "accuracy", "count")  # of a reliability diagram
LOWEST, HIGHEST = 0.05, 20.0  # temperatures; without a mistake, the best one would be 0
STEPS = 30  # halvings of that range


def count(confidence_N: Float, right_N: Mask) -> Float:
    """Sum up answers by bins of their confidence. Sums of several parts may be added.

    Args:
        confidence_N: the probability of each answer, in [0, 1].
        right_N: whether the answer is right.

    Returns:
        The number, the summed confidence, and the number of right answers, each by bin: (3, B).
    """
    bin_N = np.minimum((confidence_N * BINS).astype(np.int64), BINS - 1)
    sums = (np.ones(len(bin_N)), confidence_N, right_N)
    return np.stack([np.bincount(bin_N, weights=w, minlength=BINS) for w in sums])


def ece(counts_3B: Float) -> float:
    """Return the expected calibration error, a share in [0, 1]; nan without answers.

    It is the distance of mean confidence and accuracy in a bin, as a mean over all answers.
    """
    number, confidence, right = counts_3B
    return float(np.abs(confidence - right).sum() / number.sum()) if number.any() else float("nan")


def diagram(counts_3B: Float) -> list[Row]:
    """Return rows with the columns COLUMNS, in percent, for the bins that have answers."""
    return [
        (f"{100 * confidence / number:.2f}", f"{100 * right / number:.2f}", int(number))
        for number, confidence, right in counts_3B.T
        if number
    ]


def scaled(probability_N: Float, temperature: float) -> Float:
    """Divide the logits of independent probabilities by the temperature."""
    return expit(_logit(probability_N) / temperature)


def fit_independent(probability_N: Float, right_N: Mask) -> float:
    """Return the temperature of independent probabilities with the least cross-entropy.

    Args:
        probability_N: sigmoid outputs, in [0, 1].
        right_N: whether what they are the probability of is the case.
    """
    logit_N = _logit(probability_N)
    return _fit(lambda sharpness: float(logit_N @ (expit(sharpness * logit_N) - right_N)))


def fit_softmax(logits_MC: Float, truth_M: UInt8) -> float:
    """Return the temperature of a softmax over classes with the least cross-entropy.

    Args:
        logits_MC: logits.
        truth_M: the true class of each pixel, from 0.
    """
    logits_MC = logits_MC.astype(np.float64)  # near 0, the slope of float32 is 0
    true_M = np.take_along_axis(logits_MC, truth_M[:, None].astype(np.int64), axis=1)[:, 0]

    def slope(sharpness: float) -> float:
        expected_M = (softmax(sharpness * logits_MC, axis=1) * logits_MC).sum(axis=1)
        return float((expected_M - true_M).sum())

    return _fit(slope)


def _logit(probability_N: Float) -> Float:
    """Return the logits of probabilities that were rounded to five decimals."""
    clipped = np.clip(probability_N, 5e-6, 1 - 5e-6)
    return np.log(clipped / (1 - clipped))


def _fit(slope: Callable[[float], float]) -> float:
    """Find the temperature at which the cross-entropy's slope is 0.

    Cross-entropy is convex in 1 / temperature, and `slope` is its derivative there. So halving the
    range finds the minimum. If it is outside LOWEST to HIGHEST, the nearer end is the answer.
    """
    low, high = np.log(LOWEST), np.log(HIGHEST)
    for _ in range(STEPS):
        middle = (low + high) / 2
        if slope(float(np.exp(-middle))) < 0:  # sharper is better
            high = middle
        else:
            low = middle
    return float(np.exp((low + high) / 2))
