"""The models that sections of params.yaml share: choices, training, inference, trunk."""

import difflib
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Frozen(BaseModel):
    """Base of every section: immutable, and a misspelt key is an error.

    ELSEWHERE: keys of the same section that belong to another stage's model.
    """

    ELSEWHERE: ClassVar[tuple[str, ...]] = ()

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


def explain(report: ValidationError, values: Any, *, where: str = "") -> str:
    """Pydantic's report on `values` as one line: the first error, or the first misspelt key.

    A misspelt key is also reported as the right one missing, which would mislead.
    """
    errors = report.errors()
    first = min(errors, key=lambda e: e["type"] != "extra_forbidden")
    name = ".".join(filter(None, [where, *map(str, first["loc"])]))
    if first["type"] == "missing":
        return f"{name} is missing"
    if first["type"] == "extra_forbidden":
        return f"{name}: no such param; {_nearest(first['loc'], errors, values)}"
    said = first["msg"].removeprefix("Value error, ")
    got = "" if isinstance(first["input"], dict) else f" (got {_short(first['input'])})"
    return ": ".join(filter(None, [name, said])) + got


def _nearest(place: Sequence[Any], errors: Sequence[Any], values: Any) -> str:
    """A hint at the valid name most like the misspelt one: valid is what is there or is missing."""
    for key in place[:-1]:
        values = values[key]
    beside = {e["loc"][-1]: e["type"] for e in errors if e["loc"][:-1] == place[:-1]}
    valid = {str(k) for k in (*values, *beside) if beside.get(k) != "extra_forbidden"}
    near = difflib.get_close_matches(str(place[-1]), sorted(valid), n=1)
    return f"did you mean {near[0]}?" if near else "check the spelling"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else text[:57] + "..."


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
        values = self.options.get(name) or {}
        try:
            return self.KINDS[name].model_validate(values)
        except ValidationError as e:  # pydantic would report it without the options' name
            raise ValueError(explain(e, values, where=f"options.{name}")) from e

    @model_validator(mode="before")
    @classmethod
    def _drop_other_options(cls, values: Any) -> Any:
        """Options of other choices must not change a fingerprint."""
        if not (isinstance(values, dict) and isinstance(values.get("options"), dict)):
            return values
        chosen = values.get(cls.CHOICE)
        return values | {"options": {k: v for k, v in values["options"].items() if k == chosen}}

    @model_validator(mode="after")
    def _check_option(self) -> Self:
        self.option()
        return self


class Train(Frozen):
    """One training run (`pipeline.fit`); sizes in px, `epochs` may be fractional."""

    epochs: Positive
    batch: Annotated[int, Field(ge=2)]  # batch norm needs two
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


class Trained(Net):
    """A network to be trained."""

    train: Train

    @model_validator(mode="after")
    def _check_frozen(self) -> Self:
        if self.weights == "none" and self.train.frozen_stages:
            raise ValueError("train.frozen_stages must be 0 with weights: none")
        return self


Head = Literal["v1", "v2", "v3", "v3plus"]  # of DeepLab
