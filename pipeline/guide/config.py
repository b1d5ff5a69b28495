"""Sections `fuse`, `diffuse` and `relabel` of params.yaml: how guide labels are made."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.core.config import Fraction, Frozen, Positive


class Fuse(Frozen):
    """The guide rule (`rules.RULES`), its thresholds and area limits.

    `unlabelled` decides pixels where the cues disagree: salient without a class, or seeds cut off
    outside saliency.
    """

    rule: Literal["g0", "g1", "g2", "seeds_only", "saliency_only"]
    unlabelled: Literal["background", "ignore"]
    seed_threshold: Fraction
    saliency_threshold: Fraction
    min_seed_area_px: Annotated[int, Field(ge=0)]
    min_saliency_fraction: Fraction


class Diffuse(Frozen):
    """The CRF inside contested components; `crf` names a set of section `crf`."""

    blur_sigma_px: Positive
    unary: Literal["linear", "neglog"]
    crf: str


class Relabel(Frozen):
    """SEC's cues: the share of an image that becomes a cue for background."""

    background_fraction: Fraction
