"""params.yaml as typed, frozen models: one model per section, validated once at a stage's door.

Every number that can change a result is a field here; device, workers and verbosity are not.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.errors import UserError

V = TypeVar("V")

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Frozen(BaseModel):
    """Base of every section: immutable, and a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Choice(Frozen):
    """A section with a choice and `options`: only the chosen options are validated."""

    options: dict[str, dict[str, Any] | None]

    def chosen(self, name: str, kinds: dict[str, type[Frozen]], field: str) -> Frozen:
        """The options of choice `name`, as the model that `kinds` holds for it."""
        if name not in kinds:
            raise ValueError(f"{field}: '{name}' is none of {', '.join(sorted(kinds))}")
        return kinds[name].model_validate(self.options.get(name) or {})


# --- data ---------------------------------------------------------------------------------------


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

    source: str
    root: Path
    tags: Path
    classes: tuple[str, ...]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes: a name stands there twice")
        self.option()
        return self

    def option(self) -> Frozen:
        """The options of the chosen source."""
        return self.chosen(self.source, DATA_OPTIONS, "source")


# --- training -----------------------------------------------------------------------------------


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


# --- links --------------------------------------------------------------------------------------


class NoOptions(Frozen):
    """A choice without options."""


POOLING_OPTIONS: dict[str, type[Frozen]] = {"gap": NoOptions}


class SeedModel(Choice, Net):
    """The classifier whose class maps are the seeds."""

    hidden_convs: Annotated[int, Field(ge=0, le=2)]
    pooling: str
    train: Train

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.option()
        return self

    def option(self) -> Frozen:
        """The options of the chosen pooling."""
        return self.chosen(self.pooling, POOLING_OPTIONS, "pooling")


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

    source: str

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.option()
        return self

    def option(self) -> Frozen:
        """The options of the chosen source."""
        return self.chosen(self.source, SALIENCY_OPTIONS, "source")


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


# --- reading ------------------------------------------------------------------------------------


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file into plain dicts; YAML 1.2, so that 1e-4 is a number."""
    try:
        loaded = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise UserError(f"{path}: not found; run from the project's root folder") from e
    except YAMLError as e:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(e).split())}") from e
    if not isinstance(loaded, dict):
        raise UserError(f"{path}: must hold sections such as 'data:' and 'seed:'")
    return loaded


def validate(model: type[V], values: Any, *, where: str) -> V:
    """Validate `values`, turning pydantic's report into one line that names the param."""
    try:
        return TypeAdapter(model).validate_python(values)
    except ValidationError as e:
        first = e.errors()[0]
        name = ".".join([where, *map(str, first["loc"])]).strip(".")
        said = first["msg"].removeprefix("Value error, ")
        fix = "no such param; check the spelling" if first["type"] == "extra_forbidden" else said
        raise UserError(f"params.yaml: {name}: {fix} (got {_short(first['input'])})") from e


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else text[:57] + "..."


def load(path: Path) -> Params:
    """Read and validate the whole file."""
    return validate(Params, read_yaml(path), where="")


def section(params: dict[str, Any], name: str, model: type[V]) -> V:
    """Validate the part of `params` at the dotted `name` as `model`.

    A stage sees its own slice alone: where `model` is a part of a section (SeedModel of Seed),
    the section's other keys are left out; a key that no part knows is still an error.
    """
    values: Any = params
    for key in name.split("."):
        if not isinstance(values, dict) or key not in values:
            raise UserError(f"params.yaml: {name} is missing")
        values = values[key]
    whole = Params.model_fields[name].annotation if name in Params.model_fields else None
    if isinstance(whole, type) and issubclass(whole, Frozen) and isinstance(values, dict):
        assert issubclass(model, BaseModel)
        others = whole.model_fields.keys() - model.model_fields.keys()
        values = {k: v for k, v in values.items() if k not in others}
    return validate(model, values, where=name)


def lay_over(base: dict[str, Any], changes: dict[str, Any]) -> None:
    """Put `changes` into `base`, section by section; what they do not name stays."""
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            lay_over(base[key], value)
        else:
            base[key] = value


def differences(old: Any, new: Any, name: str = "") -> list[tuple[str, Any, Any]]:
    """(dotted name, old value, new value) of every param that differs."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [(name, old, new)]
    return [
        d
        for key in sorted({*old, *new})
        for d in differences(old.get(key), new.get(key), f"{name}.{key}".strip("."))
    ]


def fingerprint(*parts: BaseModel | str) -> str:
    """A short stable name of a set of params and input digests."""
    text = [
        p if isinstance(p, str) else json.dumps(p.model_dump(mode="json"), sort_keys=True)
        for p in parts
    ]
    return hashlib.blake2b("\n".join(text).encode(), digest_size=8).hexdigest()
