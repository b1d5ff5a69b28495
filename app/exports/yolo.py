"""Ultralytics' layout for semantic segmentation: images, masks, data.yaml."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from ruamel.yaml import YAML

from app.exports.files import Format, place_image
from app.exports.source import Masked, Source
from pipeline.core import formats
from pipeline.core.arrays import UInt8


def add(image: Masked, label_HW: UInt8, folder: Path) -> None:
    """Write images/SPLIT/ID.* and the grey PNG masks/SPLIT/ID.png of class indices.

    Void stays 255, which ultralytics ignores. The PNG is grey because it reads some palettes as
    grey levels.
    """
    place_image(image, label_HW, folder / "images" / image.split)
    grey = Image.fromarray(label_HW)
    path = folder / f"masks/{image.split}/{image.id}.png"
    formats.replace_file(path, lambda f: grey.save(f, format="PNG"))


def finish(source: Source, _: Sequence[None], folder: Path) -> None:
    """Write data.yaml. Ultralytics needs a val: without one, it names the train images."""
    splits = {image.split for image in source.images}
    content = {
        "train": f"images/{'train' if 'train' in splits else 'val'}",
        "val": f"images/{'val' if 'val' in splits else 'train'}",
        "masks_dir": "masks",
        "names": dict(enumerate(source.classes)),
    }
    yaml = YAML()
    formats.replace_file(folder / "data.yaml", lambda f: yaml.dump(content, f))


FORMAT = Format(add, finish, keeps_void=True)
