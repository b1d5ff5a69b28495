"""params.yaml as typed, frozen models, one a section: every number that can change a result."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Frozen(BaseModel):
    """Base of every section: immutable, and a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class NoOptions(Frozen):
    """A choice without options."""


class Choice(Frozen):
    """A section with a choice and `options`: only the chosen options are validated."""

    CHOICE: ClassVar[str]  # the field that holds the choice
    KINDS: ClassVar[dict[str, type[Frozen]]]

    options: dict[str, dict[str, Any] | None]

    def option(self) -> Frozen:
        """The options of the choice, as its model."""
        name = getattr(self, self.CHOICE)
        if name not in self.KINDS:
            raise ValueError(f"{self.CHOICE}: '{name}' is none of {', '.join(sorted(self.KINDS))}")
        return self.KINDS[name].model_validate(self.options.get(name) or {})

    @model_validator(mode="after")
    def _check_option(self) -> Self:
        self.option()
        return self


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


class Train(Frozen):
    """One training run (`pipeline.fit`); sizes in px, `epochs` may be fractional."""

    epochs: Positive
    batch: Count
    size_px: Annotated[int, Field(ge=32)]
    optimizer: Literal["adamw", "sgd"]
    lr: Positive
    weight_decay: Annotated[float, Field(ge=0)]
    schedule: Literal["one_cycle", "step", "poly"]
    head_lr_factor: Positive
    scale: tuple[Positive, Positive]
    jitter: Fraction
    frozen_stages: Annotated[int, Field(ge=0, le=5)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.scale[0] > self.scale[1]:
            raise ValueError("scale: the first number must not exceed the second")
        return self


class Infer(Frozen):
    """Test-time inference: the image's long side in px, times each scale, with or without flip."""

    size_px: Annotated[int, Field(ge=32)]
    scales: Annotated[tuple[Positive, ...], Field(min_length=1)]
    flip: bool


class Net(Frozen):
    """A trunk: its name, its weights (imagenet, none or a path) and its output stride."""

    backbone: str
    weights: str
    output_stride: Literal[8, 16, 32]


POOLING_OPTIONS: dict[str, type[Frozen]] = {"gap": NoOptions}


class SeedModel(Choice, Net):
    """The classifier whose class maps are the seeds."""

    CHOICE, KINDS = "pooling", POOLING_OPTIONS

    hidden_convs: Annotated[int, Field(ge=0, le=2)]
    pooling: str
    train: Train


class Seed(SeedModel):
    """Section `seed`."""

    maps: Infer


Supervision = Annotated[tuple[Literal["guide", "full"], ...], Field(min_length=1)]


class SegmentModel(Net):
    """The segmenter and its training."""

    head: Literal["largefov", "aspp"]
    loss_stride: Literal[1, 2, 4, 8, 16]
    train: Train


class Predict(Infer):
    """Test-time inference of the segmenter, and the splits it runs over."""

    splits: Annotated[tuple[Literal["train", "val"], ...], Field(min_length=1)]


class Segment(SegmentModel):
    """Section `segment`; one segmenter is trained for each kind of `supervision`."""

    supervision: Supervision
    predict: Predict


class Crf(Frozen):
    """Fully connected CRF; `sxy` in px of the full image, `srgb` in grey levels of 255."""

    iterations: Count
    smooth_w: Annotated[float, Field(ge=0)]
    smooth_sxy: Positive
    bilateral_w: Annotated[float, Field(ge=0)]
    bilateral_sxy: Positive
    bilateral_srgb: Positive


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


class SaliencyNet(Net):
    """The paper's saliency: a DeepLab trained on boxes of classes outside the class list."""

    train_set: Literal["boxes", "masks"]
    root: Path
    head: Literal["largefov", "aspp"]
    loss_stride: Literal[1, 2, 4, 8, 16]
    box_masks: BoxMasks
    denoise: Denoise
    train: Train
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


class Saliency(Choice):
    """Section `saliency`: which maps say how far an object extends."""

    CHOICE, KINDS = "source", SALIENCY_OPTIONS

    source: str


class Evaluate(Frozen):
    """What `evaluate` must know of the other sections."""

    saliency_threshold: Fraction
    source: str
    supervision: Supervision


class Report(Frozen):
    """How many images the report shows of each kind."""

    best: Annotated[int, Field(ge=0)]
    worst: Annotated[int, Field(ge=0)]
    random: Annotated[int, Field(ge=0)]


class Params(Frozen):
    """The whole of params.yaml."""

    random_seed: int
    data: Data
    seed: Seed
    saliency: Saliency
    fuse: Fuse
    diffuse: Diffuse
    segment: Segment
    refine: Crf
    report: Report
