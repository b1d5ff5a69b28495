"""Section `data` of params.yaml: where images and tags come from."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from pipeline.core.config import Choice, Count, Fraction, Frozen


class ShapesData(Frozen):
    """The generated set: numbers of images, and the longer image side in px."""

    train: Count
    val: Count
    boxed: Count
    size_px: Annotated[int, Field(ge=64)]


class VocData(Frozen):
    """A VOC devkit; a list is a name in ImageSets/Segmentation or the path of a file of ids."""

    train_list: str
    val_list: str
    mask_dirs: tuple[str, ...]


class FolderData(Frozen):
    """images/, tags.csv and optional masks/.

    `val_fraction` applies where tags.csv has no split column.
    """

    val_fraction: Fraction


DATA_OPTIONS: dict[str, type[Frozen]] = {
    "shapes": ShapesData,
    "voc": VocData,
    "folder": FolderData,
}


class Data(Choice):
    """Section `data`."""

    CHOICE, KINDS = "source", DATA_OPTIONS

    source: str
    root: Path
    tags: Path
    classes: tuple[str, ...]

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in self.classes:
            if self.classes.count(name) > 1:
                raise ValueError(f"classes: duplicate name '{name}'")
        return self
