"""The choices of params.yaml and what each has as options: data, poolings, losses, saliency."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pipeline.blocks import (
    Count,
    Fraction,
    Frozen,
    Head,
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


class Sec(Frozen):
    """SEC's losses; decays as on the released 41x41 map, `crf` a set of section `crf`."""

    decay_tags: Fraction
    decay_background: Fraction
    crf: str


LOSS_OPTIONS: dict[str, type[Frozen]] = {"cross_entropy": NoOptions, "sec": Sec}


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
