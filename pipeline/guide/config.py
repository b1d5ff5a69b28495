"""Sections `fuse`, `diffuse`, `relabel` and `rounds` of params.yaml: how to make guide labels."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.core.config import Fraction, Frozen, Positive


class Fuse(Frozen):
    """The guide rule (one of `rules.RULES`), the seed rule, their thresholds and area limits.

    `seed_rule: graph_cut` does not use `seed_threshold`.

    `evidence` is the folder of `data/` that tells the rule where each tag is. It is a param of its
    own because dvc.yaml can put a param into a path, but cannot choose a path by a rule.
    `unlabelled` decides the label of background pixels where the cues disagree: salient pixels
    without a class, and seed pixels whose class was dropped. They become background or void.
    """

    rule: Literal["g0", "g1", "component_random", "seed_majority", "g2", "seeds_only"]
    evidence: Literal["maps", "component_scores"]
    unlabelled: Literal["background", "ignore"]
    seed_rule: Literal["threshold", "graph_cut"]
    seed_threshold: Fraction
    saliency_threshold: Fraction
    min_seed_area_px: Annotated[int, Field(ge=0)]
    min_saliency_fraction: Fraction

    @model_validator(mode="after")
    def _check_evidence(self) -> Self:
        needed = "component_scores" if self.rule == "g1" else "maps"
        if self.evidence != needed:
            raise ValueError(f"rule {self.rule} cannot use {self.evidence}; set evidence: {needed}")
        return self


class Diffuse(Frozen):
    """The CRF inside contested components; `crf` is the name of a set in section `crf`.

    `shrink` divides the sides of the image that the CRF sees, and all its widths in px. 1 is exact.
    """

    blur_sigma_px: Positive
    unary: Literal["linear", "neglog"]
    crf: str
    shrink: Annotated[int, Field(ge=1)]


class Relabel(Frozen):
    """SEC's cues: which share of an image's pixels becomes a cue for background."""

    background_fraction: Fraction


class Rounds(Frozen):
    """How the segmenter of the last round makes the labels of `round2` to `round4`.

    `same` keeps the last round's labels. `fuse` makes guide labels again, with the segmenter's
    foreground as a part of saliency. `posterior` takes the segmenter's own output, restricted to
    the image's tags, after the CRF `crf`, the name of a set in section `crf`. `changed` decides the
    label of pixels that differ from the last round's labels: the new label (`keep`) or void
    (`ignore`). Only the share `images` of the images gets a label: those on which the segmenter and
    its labels agree most.
    """

    labels: Literal["same", "fuse", "posterior"]
    crf: str
    changed: Literal["keep", "ignore"]
    images: Annotated[float, Field(gt=0, le=1)]
