"""params.yaml as typed, frozen models, one a section: every number that can change a result."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from pipeline.blocks import (
    Choice,
    Count,
    CrfSets,
    Fraction,
    Frozen,
    Head,
    Infer,
    NoOptions,
    Positive,
    Sec,
    Trained,
    check_rounds,
)


class ShapesData(Frozen):
    """The generated set; sizes in images, `size_px` the longer image side."""

    train: Count
    val: Count
    boxed: Count
    size_px: Annotated[int, Field(ge=64)]


class VocData(Frozen):
    """A VOC devkit; a list is a name in ImageSets/Segmentation or a path to a text file of ids."""

    train_list: str
    val_list: str
    mask_dirs: tuple[str, ...]


class FolderData(Frozen):
    """images/ + tags.csv (+ masks/); `val_fraction` applies where tags.csv has no split column."""

    val_fraction: Fraction


DATA_OPTIONS: dict[str, type[Frozen]] = {
    "shapes": ShapesData,
    "voc": VocData,
    "folder": FolderData,
}


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


class Weldon(Frozen):
    """How many of the highest and lowest positions: a share below 1, a count from 1 on."""

    k_max: Positive
    k_min: Positive


class Wildcat(Weldon):
    """Maps a class, and the weight of the lowest positions."""

    modalities: Count
    alpha: Annotated[float, Field(ge=0)]


class LogSumExp(Frozen):
    """Near 0 it is the mean, above some tens the maximum."""

    sharpness: Positive


class Attention(Frozen):
    """Width of the hidden layer that weighs positions."""

    width: Count


POOLING_OPTIONS: dict[str, type[Frozen]] = {
    "gap": NoOptions,
    "gmp": NoOptions,
    "max_min": NoOptions,
    "weldon": Weldon,
    "wildcat": Wildcat,
    "log_sum_exp": LogSumExp,
    "attention": Attention,
}


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


LOSS_OPTIONS: dict[str, type[Frozen]] = {"cross_entropy": NoOptions, "sec": Sec}


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


class BoxMasks(Frozen):
    """GrabCut inside boxes, and when its mask is not believed (Simple Does It, section 3.1)."""

    iterations: Count
    min_fill: Fraction
    fallback: Literal["box", "ignore"]


class Denoise(Frozen):
    """Rounds of: train, predict, CRF, check against the box, train again."""

    rounds: Annotated[int, Field(ge=0)]
    crf: str


class SaliencyNet(Trained):
    """The paper's saliency: a DeepLab trained on boxes of classes outside the class list."""

    train_set: Literal["boxes", "masks"]
    root: Path
    head: Head
    loss_stride: Literal[1, 2, 4, 8, 16]
    box_masks: BoxMasks
    denoise: Denoise
    infer: Infer


class SaliencyOnnx(Frozen):
    """An exported model; `divide_by` 'max' divides an image by its own maximum, '255' by 255."""

    file: Path
    size_px: Annotated[int, Field(ge=32)]
    divide_by: Literal["max", "255"]
    mean: tuple[float, float, float]
    std: tuple[Positive, Positive, Positive]


class SaliencyFolder(Frozen):
    """Maps that the user brings: ID.png, grey."""

    root: Path


class SaliencyClassical(Frozen):
    """Geodesic distance to the image border over superpixels."""

    superpixels: Count
    compactness: Positive


SALIENCY_OPTIONS: dict[str, type[Frozen]] = {
    "net": SaliencyNet,
    "onnx": SaliencyOnnx,
    "folder": SaliencyFolder,
    "classical": SaliencyClassical,
    "oracle": NoOptions,
    "none": NoOptions,
}


TRAINED_ON = {
    "net": "boxes or masks of classes outside the list",
    "onnx": "as the model's makers say; off-the-shelf models learn from pixel masks",
    "folder": "maps brought by the user",
    "classical": "nothing",
    "oracle": "the ground truth itself",
    "none": "nothing: no pixel is salient, the seeds stand alone",
}


class Saliency(Choice):
    """Section `saliency`: which maps say how far an object extends."""

    CHOICE, KINDS = "source", SALIENCY_OPTIONS

    source: str


class Evaluate(Frozen):
    """What `evaluate` must know of the other sections."""

    saliency_threshold: Fraction
    source: str
    supervision: Supervision


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
        if isinstance(net, SaliencyNet):
            named["saliency.options.net.denoise.crf"] = net.denoise.crf
        for param, name in named.items():
            if name not in self.crf:
                raise ValueError(f"{param}: '{name}' is none of {', '.join(self.crf)}")
        return self
