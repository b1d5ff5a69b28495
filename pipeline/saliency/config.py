"""Section `saliency` of params.yaml: which maps say how far an object extends."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pipeline.core.config import (
    Choice,
    Count,
    Fraction,
    Frozen,
    Head,
    Infer,
    NoOptions,
    Positive,
    Trained,
)


class BoxMasks(Frozen):
    """GrabCut inside boxes, and when to distrust its mask (Simple Does It, section 3.1)."""

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


class Saliency(Choice):
    """Section `saliency`."""

    CHOICE, KINDS = "source", SALIENCY_OPTIONS

    source: str
