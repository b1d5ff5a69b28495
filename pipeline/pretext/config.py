"""Section `pretext` of params.yaml: the training of a trunk without labels."""

from typing import Self

from pydantic import model_validator

from pipeline.core.config import Choice, Count, Frozen, NoOptions, Positive, Train


class SimClr(Frozen):
    """The temperature of the loss, and the width of the vectors that it compares."""

    temperature: Positive
    outputs: Count


PRETEXT_OPTIONS: dict[str, type[Frozen]] = {
    "none": NoOptions,
    "rotation": NoOptions,
    "simclr": SimClr,
}


class PretextTrain(Train):
    """The training. The trunk starts from random numbers, so nothing can be frozen."""

    @model_validator(mode="after")
    def _check_frozen(self) -> Self:
        if self.frozen_stages:
            raise ValueError("frozen_stages must be 0: the trunk starts from random numbers")
        return self


class Pretext(Choice):
    """Section `pretext`. With a task, `weights: pretext` starts a trunk from its weights."""

    CHOICE, KINDS = "task", PRETEXT_OPTIONS

    task: str
    backbone: str
    train: PretextTrain
