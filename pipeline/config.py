"""params.yaml as typed, frozen models, one a section: every number that can change a result."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.blocks import (
    Choice,
    Count,
    Crf,
    Fraction,
    Frozen,
    Infer,
    NoOptions,
    Positive,
    Trained,
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


POOLING_OPTIONS: dict[str, type[Frozen]] = {"gap": NoOptions}


class SeedModel(Choice, Trained):
    """The classifier whose class maps are the seeds."""

    CHOICE, KINDS = "pooling", POOLING_OPTIONS

    hidden_convs: Annotated[int, Field(ge=0, le=2)]
    pooling: str


class Seed(SeedModel):
    """Section `seed`."""

    maps: Infer


Supervision = Annotated[tuple[Literal["guide", "full"], ...], Field(min_length=1)]


class SegmentModel(Trained):
    """The segmenter and its training."""

    head: Literal["largefov", "aspp"]
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
    """Seed rule, saliency threshold and area limits of guide rule G2."""

    seed_threshold: Fraction
    saliency_threshold: Fraction
    min_seed_area_px: Annotated[int, Field(ge=0)]
    min_saliency_fraction: Fraction


class Diffuse(Frozen):
    """The CRF inside contested components."""

    blur_sigma_px: Positive
    crf: Crf


class BoxMasks(Frozen):
    """GrabCut inside boxes, and when its mask is not believed (Simple Does It, section 3.1)."""

    iterations: Count
    min_fill: Fraction
    fallback: Literal["box", "ignore"]


class Denoise(Frozen):
    """Rounds of: train, predict, CRF, check against the box, train again."""

    rounds: Annotated[int, Field(ge=0)]
    crf: Crf


class SaliencyNet(Trained):
    """The paper's saliency: a DeepLab trained on boxes of classes outside the class list."""

    train_set: Literal["boxes", "masks"]
    root: Path
    head: Literal["largefov", "aspp"]
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
}


TRAINED_ON = {
    "net": "boxes or masks of classes outside the list",
    "onnx": "as the model's makers say; off-the-shelf models learn from pixel masks",
    "folder": "maps brought by the user",
    "classical": "nothing",
    "oracle": "the ground truth itself",
}


class Saliency(Choice):
    """Section `saliency`: which maps say how far an object extends."""

    CHOICE, KINDS = "source", SALIENCY_OPTIONS

    source: str


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
    segment: Segment
    refine: Crf
    report: Report
