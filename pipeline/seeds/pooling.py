"""Pooling of class maps into image scores.

Shapes: N images, K classes, h, w map size, n = h * w positions.

To add a pooling, write its function and its options model, add a line to each of the two tables at
the end, and add its block under `seed.options` in presets/shapes.yaml. The classifier reads the
options that shape the maps: `modalities` and `width`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from pipeline.core.config import Count, Frozen, NoOptions, Positive

if TYPE_CHECKING:  # params.yaml is read without torch
    from torch import Tensor


class Weldon(Frozen):
    """The numbers of highest and of lowest positions: a share of n if below 1, else a count."""

    k_max: Positive
    k_min: Positive


class Wildcat(Weldon):
    """Also the number of maps per class, and the weight of the lowest positions."""

    modalities: Count
    alpha: Annotated[float, Field(ge=0)]


class LogSumExp(Frozen):
    """With `sharpness` near 0 the pooling is the mean; above some tens it is the maximum."""

    sharpness: Positive


class SoftMaxMin(Frozen):
    """The sharpness of the maximum and of the minimum, and the weight of the minimum."""

    max_sharpness: Positive
    min_sharpness: Positive
    alpha: Annotated[float, Field(ge=0)]


class Attention(Frozen):
    """The width of the hidden layer that computes the attention weights."""

    width: Count


def gap(maps_NKhw: Tensor) -> Tensor:
    """Global average: the score is the mean of the map.

    Source: Zhou et al., CVPR 2016, section 2.
    """
    return maps_NKhw.mean(dim=(2, 3))


def gmp(maps_NKhw: Tensor) -> Tensor:
    """Global maximum. Source: Oquab et al., CVPR 2015."""
    return maps_NKhw.amax(dim=(2, 3))


def max_min(maps_NKhw: Tensor) -> Tensor:
    """Maximum plus minimum: the strongest evidence for and against.

    Source: Durand et al., ICCV 2015 (MANTRA's latent prediction).
    """
    return maps_NKhw.amax(dim=(2, 3)) + maps_NKhw.amin(dim=(2, 3))


def weldon(maps_NKhw: Tensor, *, k_max: float, k_min: float) -> Tensor:
    """Mean of the k highest plus mean of the k lowest. Source: Durand et al., CVPR 2016 (WELDON).

    Args:
        maps_NKhw: class maps.
        k_max: the number of highest positions; a share of n if below 1, else a count.
        k_min: the number of lowest positions, likewise.
    """
    return extremes(maps_NKhw, k_max=k_max, k_min=k_min, alpha=1.0)


def wildcat(
    maps_NKhw: Tensor, *, modalities: int, k_max: float, k_min: float, alpha: float
) -> Tensor:
    """Mean of the k_max highest positions plus alpha times the mean of the k_min lowest.

    Args:
        maps_NKhw: class maps. The classifier has averaged the `modalities` maps of each class.
        modalities: M, maps of each class. The classifier uses it; this function does not.
        k_max: how many positions; below 1, a share of all positions.
        k_min: the same, for the lowest positions.
        alpha: the weight of the lowest positions.

    Source: Durand et al., CVPR 2017 (WILDCAT). The released code halves this sum, and its score
    layer has a bias.
    """
    return extremes(maps_NKhw, k_max=k_max, k_min=k_min, alpha=alpha)


def extremes(maps_NKhw: Tensor, *, k_max: float, k_min: float, alpha: float) -> Tensor:
    """Mean of the k_max highest positions plus alpha times the mean of the k_min lowest: (N, K)."""
    flat = maps_NKhw.flatten(2)
    n = flat.shape[2]
    score = flat.topk(_count(k_max, n)).values.mean(2)
    if alpha == 0:
        return score
    return score + alpha * flat.topk(_count(k_min, n), largest=False).values.mean(2)


def _count(k: float, n: int) -> int:
    """Turn `k`, a share of n if below 1 and else a count, into a count from 1 to n."""
    return min(n, max(1, round(k * n) if k < 1 else int(k)))


def log_sum_exp(maps_NKhw: Tensor, *, sharpness: float) -> Tensor:
    """Compute 1/b log mean exp(b z), where z is the map and b is `sharpness`.

    Source: Pinheiro & Collobert, CVPR 2015.
    """
    flat = maps_NKhw.flatten(2)
    return ((sharpness * flat).logsumexp(2) - math.log(flat.shape[2])) / sharpness


def soft_max_min(
    maps_NKhw: Tensor, *, max_sharpness: float, min_sharpness: float, alpha: float
) -> Tensor:
    """Soft maximum plus alpha times the soft minimum, each a log mean exp with its own sharpness.

    With z the map, b and c the two sharpnesses: 1/b log mean exp(b z) - alpha/c log mean exp(-c z).
    With large b and c, this is the maximum plus alpha times the minimum; with both near 0, it is
    (1 + alpha) times the mean.

    Source: the unified pooling of Durand et al., PAMI 2019 (Exploiting Negative Evidence for Deep
    Latent Structured Models). The formula is recalled, not read there.
    """
    highest = log_sum_exp(maps_NKhw, sharpness=max_sharpness)
    return highest - alpha * log_sum_exp(-maps_NKhw, sharpness=min_sharpness)


def attention(maps_NKhw: Tensor, *, width: int) -> Tensor:
    """Mean over positions, weighted by attention: softmax(w . tanh(V h)) over the positions.

    The classifier has already multiplied its maps by n times these weights. So the mean of the maps
    is the score, as with `gap`, and the maps show what the score is made of.

    Source: Ilse et al., ICML 2018.
    """
    return maps_NKhw.mean(dim=(2, 3))


POOLINGS: dict[str, Callable[..., Tensor]] = {
    "gap": gap,
    "gmp": gmp,
    "max_min": max_min,
    "weldon": weldon,
    "wildcat": wildcat,
    "log_sum_exp": log_sum_exp,
    "soft_max_min": soft_max_min,
    "attention": attention,
}
POOLING_OPTIONS: dict[str, type[Frozen]] = {
    "gap": NoOptions,
    "gmp": NoOptions,
    "max_min": NoOptions,
    "weldon": Weldon,
    "wildcat": Wildcat,
    "log_sum_exp": LogSumExp,
    "soft_max_min": SoftMaxMin,
    "attention": Attention,
}
