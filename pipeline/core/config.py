"""Models that several sections of params.yaml share: choices, training, inference, trunk."""

import difflib
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
MAX_EPOCHS, MAX_SIZE_PX = 100_000, 16_384  # more is a slip of the finger

GRID_PX = (
    16  # a network's input has sides of a multiple of this, or of its stride if that is larger
)
# The trunks of `pipeline.nets.backbones`. Every other name is timm's.
OWN_BACKBONES = ("vgg16", "vgg16_deeplab", "resnet50", "resnet101", "efficientnet_lite0")


class Frozen(BaseModel):
    """Base of every section: values cannot change, and an unknown key is an error.

    ELSEWHERE names keys of the same section that belong to the model of another stage.
    """

    ELSEWHERE: ClassVar[tuple[str, ...]] = ()

    model_config = ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_true_as_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse true and false where a number is meant. Python would take them as 1 and 0."""
        field = cls.model_fields[info.field_name or ""]
        if isinstance(value, bool) and field.annotation is not bool:
            raise ValueError("must not be true or false")
        return value


def explain(report: ValidationError, values: Any, *, where: str = "") -> str:
    """Turn pydantic's report on `values` into one line about one error.

    An unknown key comes first: when somebody misspells a key, pydantic also reports that the
    correct key is missing, and that alone would mislead.
    """
    errors = report.errors()
    first = min(errors, key=lambda e: e["type"] != "extra_forbidden")
    name = ".".join(filter(None, [where, *map(str, first["loc"])]))
    if first["type"] == "missing":
        return f"{name} is missing"
    if first["type"] == "extra_forbidden":
        return f"{name}: no such param; {_nearest(first['loc'], errors, values)}"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] in ("tuple_type", "list_type"):
        message = f"write a list: [{_item(first['input'])}]"
    got = "" if isinstance(first["input"], dict) else f" (got {_short(first['input'])})"
    return ": ".join(filter(None, [name, message])) + got


def _nearest(location: Sequence[Any], errors: Sequence[Any], values: Any) -> str:
    """Suggest the valid key that is most like the unknown key at `location`.

    Valid keys of that section are those in `values` that pydantic accepts, and those it misses.
    """
    for key in location[:-1]:
        values = values[key]
    reported = {e["loc"][-1]: e["type"] for e in errors if e["loc"][:-1] == location[:-1]}
    valid = {str(k) for k in (*values, *reported) if reported.get(k) != "extra_forbidden"}
    near = difflib.get_close_matches(str(location[-1]), sorted(valid), n=1)
    return f"did you mean {near[0]}?" if near else "check the spelling"


def _item(value: Any) -> str:
    """Return what a list holds if somebody wrote `value` in its place."""
    return str(value) if isinstance(value, str | int | float) else "..."


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else text[:57] + "..."


class NoOptions(Frozen):
    """The options of a choice that has none."""


class Choice(Frozen):
    """A section with a choice, such as `pooling: gap`, and the `options` of each choice.

    Only the options of the chosen kind are kept and validated.
    """

    CHOICE: ClassVar[str]  # the field that holds the choice
    KINDS: ClassVar[dict[str, type[Frozen]]]  # the model of each choice's options

    options: dict[str, dict[str, Any] | None]

    def option(self) -> Frozen:
        """Return the options of the choice as a model of KINDS."""
        name = getattr(self, self.CHOICE)
        if name not in self.KINDS:
            known = ", ".join(sorted(self.KINDS))
            raise ValueError(f"{self.CHOICE}: '{name}' is not one of {known}")
        values = self.options.get(name) or {}
        try:
            return self.KINDS[name].model_validate(values)
        except ValidationError as e:  # pydantic's own message lacks `options.NAME`
            raise ValueError(explain(e, values, where=f"options.{name}")) from e

    @model_validator(mode="before")
    @classmethod
    def _drop_other_options(cls, values: Any) -> Any:
        """Drop the options of other choices, so that they do not change a fingerprint."""
        if not (isinstance(values, dict) and isinstance(values.get("options"), dict)):
            return values
        chosen = values.get(cls.CHOICE)
        return values | {"options": {k: v for k, v in values["options"].items() if k == chosen}}

    @model_validator(mode="after")
    def _check_option(self) -> Self:
        self.option()
        return self


class Train(Frozen):
    """One training run (`pipeline.training.fit`). `epochs` may be a fraction.

    `size_px` is a multiple of 16, as every side is at test time. On another grid, such as 321 px at
    stride 8, cells lie elsewhere in training than at test, and maps are painted some px off.
    """

    epochs: Annotated[Positive, Field(le=MAX_EPOCHS)]
    batch: Annotated[int, Field(ge=2)]  # batch normalisation needs two images
    size_px: Annotated[int, Field(ge=32, le=MAX_SIZE_PX, multiple_of=GRID_PX)]
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


def _infer_size(value: Any) -> Any:
    if value != "native" and not (isinstance(value, int) and 32 <= value <= MAX_SIZE_PX):
        raise ValueError(f"must be 'native' or a whole number from 32 to {MAX_SIZE_PX}")
    return value


class Infer(Frozen):
    """Test-time inference. The image's long side is `size_px` times each of `scales`.

    With `native`, `size_px` is each image's own long side, so that only rounding to the network's
    stride changes its size. `flip`: also use the mirrored image.
    """

    size_px: Annotated[int | Literal["native"], PlainValidator(_infer_size)]
    scales: Annotated[tuple[Positive, ...], Field(min_length=1)]
    flip: bool


class Net(Frozen):
    """A trunk: its name, its weights and its output stride.

    `weights` is imagenet, none, pretext (the trunk of section `pretext`) or a path.
    """

    backbone: str
    weights: str
    output_stride: Literal[8, 16, 32]


class Trained(Net):
    """A network to train."""

    train: Train

    @model_validator(mode="after")
    def _check_train(self) -> Self:
        if self.train.size_px % self.output_stride:
            raise ValueError(
                f"train.size_px must be a multiple of {self.output_stride}, the stride"
            )
        if self.weights == "none" and self.train.frozen_stages:
            raise ValueError("train.frozen_stages must be 0 with weights: none")
        return self


Head = Literal["v1", "v2", "v3", "v3plus"]  # of DeepLab
