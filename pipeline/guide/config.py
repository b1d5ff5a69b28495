"""Sections `fuse`, `diffuse` and `relabel` of params.yaml: how to make guide labels."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.core.config import Fraction, Frozen, Positive


class Fuse(Frozen):
    """The guide rule (one of `rules.RULES`), the seed rule, their thresholds and area limits.

    `seed_rule: graph_cut` does not use `seed_threshold`.

    `unlabelled` decides the label of background pixels where the cues disagree: salient pixels
    without a class, and seed pixels whose class was dropped. They become background or void.
    """

    rule: Literal["g0", "g1", "g2", "seeds_only", "saliency_only"]
    unlabelled: Literal["background", "ignore"]
    seed_rule: Literal["threshold", "graph_cut"]
    seed_threshold: Fraction
    saliency_threshold: Fraction
    min_seed_area_px: Annotated[int, Field(ge=0)]
    min_saliency_fraction: Fraction


class Diffuse(Frozen):
    """The CRF inside contested components; `crf` is the name of a set in section `crf`."""

    blur_sigma_px: Positive
    unary: Literal["linear", "neglog"]
    crf: str


class Relabel(Frozen):
    """SEC's cues: which share of an image's pixels becomes a cue for background."""

    background_fraction: Fraction
