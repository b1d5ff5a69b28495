"""Pooling of class maps into image scores.

Shapes: N images, K classes, h, w map size, n = h * w positions. To add one: a function, its options
model, a line in each of the two tables at the end, and its block under `seed.options` in
presets/shapes.yaml.
An option that says how the maps are made (`modalities`, `width`) belongs to the classifier.
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
    """How many of the highest and lowest positions: a share below 1, a count from 1 on."""

    k_max: Positive
    k_min: Positive


class Wildcat(Weldon):
    """Maps per class, and the weight of the lowest positions."""

    modalities: Count
    alpha: Annotated[float, Field(ge=0)]


class LogSumExp(Frozen):
    """Near 0 the pooling is the mean, above some tens the maximum."""

    sharpness: Positive


class Attention(Frozen):
    """Width of the hidden layer that weighs positions."""

    width: Count


def gap(maps_NKhw: Tensor) -> Tensor:
    """Global average: every position counts the same.

    Source: Zhou et al., CVPR 2016, section 2: the mean of the map is the logit.
    """
    return maps_NKhw.mean(dim=(2, 3))


def gmp(maps_NKhw: Tensor) -> Tensor:
    """Global maximum. Source: Oquab et al., CVPR 2015."""
    return maps_NKhw.amax(dim=(2, 3))


def max_min(maps_NKhw: Tensor) -> Tensor:
    """Maximum plus minimum: the strongest evidence for and against.

    Source: Durand et al., CVPR 2016 (MANTRA's latent prediction).
    """
    return maps_NKhw.amax(dim=(2, 3)) + maps_NKhw.amin(dim=(2, 3))


def weldon(maps_NKhw: Tensor, *, k_max: float, k_min: float) -> Tensor:
    """Mean of the k highest plus mean of the k lowest. Source: Durand et al., CVPR 2016 (WELDON).

    Args:
        maps_NKhw: class maps.
        k_max: highest positions; a share of n below 1, a count from 1 on.
        k_min: lowest positions, likewise.
    """
    return extremes(maps_NKhw, k_max=k_max, k_min=k_min, alpha=1.0)


def wildcat(
    maps_NKhw: Tensor, *, modalities: int, k_max: float, k_min: float, alpha: float
) -> Tensor:
    """Mean of the k highest plus alpha times the mean of the k lowest, of averaged maps.

    Source: Durand et al., CVPR 2017 (WILDCAT). The `modalities` maps of a class were averaged by
    the classifier already.
    """
    return extremes(maps_NKhw, k_max=k_max, k_min=k_min, alpha=alpha)


def extremes(maps_NKhw: Tensor, *, k_max: float, k_min: float, alpha: float) -> Tensor:
    """Mean of the k_max highest positions + alpha * mean of the k_min lowest: (N, K)."""
    flat = maps_NKhw.flatten(2)
    n = flat.shape[2]
    score = flat.topk(_count(k_max, n)).values.mean(2)
    if alpha == 0:
        return score
    return score + alpha * flat.topk(_count(k_min, n), largest=False).values.mean(2)


def _count(k: float, n: int) -> int:
    """A share of n below 1, a count from 1 on; at least one position, at most all."""
    return min(n, max(1, round(k * n) if k < 1 else int(k)))


def log_sum_exp(maps_NKhw: Tensor, *, sharpness: float) -> Tensor:
    """1/b log mean exp(b z): the mean for b -> 0, the maximum for b -> infinity.

    Source: Pinheiro & Collobert, CVPR 2015.
    """
    flat = maps_NKhw.flatten(2)
    return ((sharpness * flat).logsumexp(2) - math.log(flat.shape[2])) / sharpness


def attention(maps_NKhw: Tensor, *, width: int) -> Tensor:
    """Attention-weighted mean, the weights softmax(w . tanh(V h)) over the positions.

    The classifier's maps carry n times the weights already, so that their mean is the logit, as
    under gap, and the map shows what went into it. Source: Ilse et al., ICML 2018.
    """
    return maps_NKhw.mean(dim=(2, 3))


POOLINGS: dict[str, Callable[..., Tensor]] = {
    "gap": gap,
    "gmp": gmp,
    "max_min": max_min,
    "weldon": weldon,
    "wildcat": wildcat,
    "log_sum_exp": log_sum_exp,
    "attention": attention,
}
POOLING_OPTIONS: dict[str, type[Frozen]] = {
    "gap": NoOptions,
    "gmp": NoOptions,
    "max_min": NoOptions,
    "weldon": Weldon,
    "wildcat": Wildcat,
    "log_sum_exp": LogSumExp,
    "attention": Attention,
}
