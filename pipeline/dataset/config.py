"""Section `data` of params.yaml: where the images and tags come from."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from pipeline.core.config import Choice, Count, Fraction, Frozen
from pipeline.dataset.names import fault_of


class ShapesData(Frozen):
    """The generated data set: how many images of each kind, and the image side in px."""

    train: Count
    val: Count
    boxed: Count
    size_px: Annotated[int, Field(ge=64)]


class VocData(Frozen):
    """A VOC devkit.

    A list is the name of a list in ImageSets/Segmentation, or the path of a .txt file with one id
    per line. An image's mask comes from the first of `mask_dirs` that has one.
    """

    train_list: str
    val_list: str
    mask_dirs: tuple[str, ...]


class FolderData(Frozen):
    """A folder with images/, tags.csv and optionally masks/.

    `val_fraction` is the share of val images. It applies where tags.csv names no split.
    """

    val_fraction: Fraction


class ShardsData(Frozen):
    """Tars in the layout of WebDataset.

    `tars` is the pattern of their names below data.root, or an address such as s3://bucket/photos.
    `val_fraction` is the share of val images. It applies where the tags of an image name no split.
    """

    tars: str
    val_fraction: Fraction


DATA_OPTIONS: dict[str, type[Frozen]] = {
    "shapes": ShapesData,
    "voc": VocData,
    "folder": FolderData,
    "shards": ShardsData,
}


class Data(Choice):
    """Section `data`; an empty list of classes means all classes of the source."""

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
        if fault := fault_of({name: repr(name) for name in self.classes}):
            raise ValueError(f"classes: {fault}")
        return self
