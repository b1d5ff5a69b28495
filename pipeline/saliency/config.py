"""Section `saliency` of params.yaml: the source of the saliency maps, and its options."""

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
    """GrabCut inside boxes (Simple Does It).

    If the mask fills less than `min_fill` of a box, `fallback` labels the box instead.
    """

    iterations: Count
    min_fill: Fraction
    fallback: Literal["box", "ignore"]


class Denoise(Frozen):
    """Denoising: each round predicts, applies the CRF, checks the boxes, and trains again.

    `crf` is the name of a set in section `crf`.
    """

    rounds: Annotated[int, Field(ge=0)]
    crf: str


class SaliencyNet(Trained):
    """The paper's saliency: a DeepLab that learns from images of classes outside the class list.

    The training set comes with boxes, as in the paper, or with masks.
    """

    train_set: Literal["boxes", "masks"]
    root: Path
    head: Head
    loss_stride: Literal[1, 2, 4, 8, 16]
    box_masks: BoxMasks
    denoise: Denoise
    infer: Infer


class SaliencyOnnx(Frozen):
    """An exported model.

    `divide_by` 'max' divides an image by its own maximum, and '255' by 255.
    """

    file: Path
    size_px: Annotated[int, Field(ge=32)]
    divide_by: Literal["max", "255"]
    mean: tuple[float, float, float]
    std: tuple[Positive, Positive, Positive]


class SaliencyFolder(Frozen):
    """The user's own maps: a grey ID.png for each image."""

    root: Path


class SaliencyClassical(Frozen):
    """Geodesic distance to the image border, computed over superpixels."""

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
