"""How well the colours of an image agree with a mask: a score of masks that needs no truth.

Shapes: H, W image size in px, B colour bins.
Source: the energy of GrabCut (Rother, Kolmogorov & Blake, SIGGRAPH 2004, equations 2 to 4 and 11),
with its contrast term and its weight of 50. Departures: colour histograms with 8 bins a channel in
place of Gaussian mixtures, because GrabCut fits its models and cuts in turn, and here the mask is
fixed; and 4 neighbours of a pixel in place of 8. With 8, the border outweighs the colours: the
energy then chose poor thresholds on photographs (docs/results.md).
"""

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np

from pipeline.core.arrays import Float, Int, Mask, UInt8

GAMMA = 50  # weight of the boundary, as in the source
BINS = 8  # of a channel
PRIOR = 0.1  # pixels added to each bin, so that no probability is 0
NEIGHBOURS = ((0, 1), (1, 0))  # steps in px, down and right

A = TypeVar("A", Float, Mask)


@dataclass(frozen=True)
class Colours:
    """What an image brings to the energy of any mask.

    `weights` holds, for each step to a neighbour, exp(-beta |difference of colours|^2) of each
    pair of pixels. beta is 1 / (twice the mean squared difference of all pairs), as in the
    source.
    """

    bins_HW: Int
    weights: tuple[Float, ...]

    @classmethod
    def of(cls, image_HW3: UInt8) -> "Colours":
        """Prepare an RGB image."""
        image = image_HW3.astype(np.float32)
        squared = [_squared(*_pairs(image, step)) for step in NEIGHBOURS]
        mean = sum(s.sum() for s in squared) / max(1, sum(s.size for s in squared))
        beta = 1 / (2 * max(float(mean), 1e-6))
        return cls(_bins(image_HW3), tuple(np.exp(-beta * s) for s in squared))

    def energy(self, mask_HW: Mask) -> float:
        """Compute the energy of a foreground mask, in nats per pixel, relative to no mask.

        The energy falls where foreground and background have colours of their own, and rises
        where the mask's border crosses areas of one colour. So below 0, the mask explains the
        image better than no mask does.
        """
        whole, inside = _histogram(self.bins_HW), _histogram(self.bins_HW[mask_HW])
        colours = _nats(inside) + _nats(whole - inside) - _nats(whole)
        return float(colours + GAMMA * self.boundary(mask_HW)) / mask_HW.size

    def boundary(self, mask_HW: Mask) -> float:
        """Sum the weights of neighbours of which one is inside the mask, and one outside."""
        total = 0.0
        for step, weight in zip(NEIGHBOURS, self.weights, strict=True):
            one, other = _pairs(mask_HW, step)
            total += float(weight[one != other].sum())
        return total


def _bins(image_HW3: UInt8) -> Int:
    """Number the colour bin of each pixel."""
    red, green, blue = cv2.split(image_HW3 // (256 // BINS))
    return (red.astype(np.int64) * BINS + green) * BINS + blue


def _histogram(bins_N: Int) -> Int:
    return np.bincount(bins_N.ravel(), minlength=BINS**3)


def _nats(counts_B: Int) -> float:
    """Minus the summed log-probability of pixels under their own colour histogram."""
    share_B = (counts_B + PRIOR) / (counts_B.sum() + PRIOR * BINS**3)
    return float(-(counts_B * np.log(share_B)).sum())


def _pairs(array: A, step: tuple[int, int]) -> tuple[A, A]:
    """Return two views of an array: each pixel, and its neighbour at `step`."""
    down, right = step
    height, width = array.shape[:2]
    return array[: height - down, : width - right], array[down:, right:]


def _squared(one: Float, other: Float) -> Float:
    return ((one - other) ** 2).sum(axis=-1)
