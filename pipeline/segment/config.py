"""Section `segment` of params.yaml: the segmenter, its training and its inference."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from pipeline.core.config import Choice, Fraction, Frozen, Head, Infer, NoOptions, Trained
from pipeline.core.supervision import Supervision
from pipeline.crf.config import Crf


class Sec(Frozen):
    """The numbers of SEC's losses.

    The decays are those for a map of 41x41, as in the released code. The widths of `crf` are in
    pixels of the network's input.
    """

    decay_tags: Fraction
    decay_background: Fraction
    crf: Crf


LOSS_OPTIONS: dict[str, type[Frozen]] = {"cross_entropy": NoOptions, "sec": Sec}


class SegmentModel(Choice, Trained):
    """The segmenter and its training. The loss compares logits and labels at `loss_stride`."""

    CHOICE, KINDS = "loss", LOSS_OPTIONS
    ELSEWHERE: ClassVar = ("supervision", "predict")

    head: Head
    loss: str
    loss_stride: Literal[1, 2, 4, 8, 16]


class Predict(Infer):
    """Test-time inference of the segmenter, and the splits to predict."""

    splits: Annotated[tuple[Literal["train", "val"], ...], Field(min_length=1)]


class Segment(SegmentModel):
    """Section `segment`. Each entry of `supervision` gets a segmenter of its own."""

    supervision: Supervision
    predict: Predict

    @model_validator(mode="after")
    def _check_unique(self) -> Self:
        for name in self.supervision:
            if self.supervision.count(name) > 1:
                raise ValueError(f"supervision: duplicate value '{name}'")
        return self
