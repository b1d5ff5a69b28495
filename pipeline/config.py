"""params.yaml as typed, frozen models, one a section: every number that can change a result."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from pipeline.blocks import (
    Choice,
    CrfSets,
    Fraction,
    Frozen,
    Head,
    Infer,
    Positive,
    Trained,
    check_rounds,
)
from pipeline.choices import (
    DATA_OPTIONS,
    LOSS_OPTIONS,
    POOLING_OPTIONS,
    SALIENCY_OPTIONS,
    SaliencyNet,
    Sec,
)


class Data(Choice):
    """Where images and tags come from."""

    CHOICE, KINDS = "source", DATA_OPTIONS

    source: str
    root: Path
    tags: Path
    classes: tuple[str, ...]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes: a name stands there twice")
        return self


class SeedModel(Choice, Trained):
    """The classifier whose class maps are the seeds."""

    CHOICE, KINDS = "pooling", POOLING_OPTIONS

    hidden: Literal["none", "fc6", "fc6_fc7", "largefov"]
    superpixels: Annotated[int, Field(ge=0)]
    pooling: str
    loss: Literal["sigmoid", "soft_margin"]
    balanced: bool


class SeedMaps(Infer):
    """Test-time inference of the classifier, and what its maps are made of."""

    kind: Literal["class_maps", "gradient", "guided_gradient", "grad_cam"]


class Seed(SeedModel):
    """Section `seed`."""

    maps: SeedMaps


Supervision = Annotated[
    tuple[Literal["guide", "full", "oracle", "seed", "round2", "round3", "round4"], ...],
    Field(min_length=1),
    AfterValidator(check_rounds),
]


class SegmentModel(Choice, Trained):
    """The segmenter and its training."""

    CHOICE, KINDS = "loss", LOSS_OPTIONS

    head: Head
    loss: str
    loss_stride: Literal[1, 2, 4, 8, 16]


class Predict(Infer):
    """Test-time inference of the segmenter, and the splits it runs over."""

    splits: Annotated[tuple[Literal["train", "val"], ...], Field(min_length=1)]


class Segment(SegmentModel):
    """Section `segment`; one segmenter is trained for each kind of `supervision`."""

    supervision: Supervision
    predict: Predict

    @model_validator(mode="after")
    def _check_unique(self) -> Self:
        if len(set(self.supervision)) < len(self.supervision):
            raise ValueError("supervision: a value stands there twice")
        return self


class Fuse(Frozen):
    """The guide rule (`guide.RULES`), its thresholds and area limits.

    `unlabelled` is what becomes of pixels where the cues disagree: salient without a class, or
    seeds cut off outside saliency.
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
    """SEC's cues: the share of an image that is a cue for background."""

    background_fraction: Fraction


class Saliency(Choice):
    """Section `saliency`: which maps say how far an object extends."""

    CHOICE, KINDS = "source", SALIENCY_OPTIONS

    source: str


class Refine(Frozen):
    """The CRF after the segmenter; `crf` names a set of section `crf`."""

    crf: str


class Report(Frozen):
    """How many images the report shows of each kind."""

    best: Annotated[int, Field(ge=0)]
    worst: Annotated[int, Field(ge=0)]
    random: Annotated[int, Field(ge=0)]


class Params(Frozen):
    """The whole of params.yaml."""

    random_seed: Annotated[int, Field(ge=0)]
    shard: Annotated[int, Field(ge=0)]
    data: Data
    seed: Seed
    saliency: Saliency
    fuse: Fuse
    diffuse: Diffuse
    relabel: Relabel
    segment: Segment
    refine: Refine
    crf: CrfSets
    report: Report

    @model_validator(mode="after")
    def _check_crf(self) -> Self:
        net = self.saliency.option()
        named = {"diffuse.crf": self.diffuse.crf, "refine.crf": self.refine.crf}
        if isinstance(loss := self.segment.option(), Sec):
            named["segment.options.sec.crf"] = loss.crf
        if isinstance(net, SaliencyNet):
            named["saliency.options.net.denoise.crf"] = net.denoise.crf
        for param, name in named.items():
            if name not in self.crf:
                raise ValueError(f"{param}: '{name}' is none of {', '.join(self.crf)}")
        return self
