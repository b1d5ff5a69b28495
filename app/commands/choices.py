"""Values to choose from, for the help and for the shell's completion.

The modules that know them load slowly. So they are named here again, or found in the project's
files by their text; tests compare both.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

EXPORTED = ("coco", "cvat", "labelstudio", "yolo", "voc")
IMPORTED = ("coco", "cvat", "labelstudio", "voc")
REVIEWED = ("labelstudio", "cvat")
MODELS = ("onnx", "torchscript", "safetensors")
DATASETS = ("voc2012", "sbd", "u2netp")
TAGS = ("csv", "coco", "labelstudio", "cvat", "folders")
COMPETITIONS = ("comp5", "comp6")
SPLITS = ("train", "val")

Complete = Callable[[str], list[str]]


def one_of(values: Iterable[str]) -> str:
    """Name the values, as a sentence of a help text."""
    return f"One of {', '.join(values)}."


def among(values: Iterable[str]) -> Complete:
    """Return what completes a word to those values that begin with it."""

    def complete(incomplete: str) -> list[str]:
        return [value for value in values if value.startswith(incomplete)]

    return complete


def presets(incomplete: str) -> list[str]:
    """Complete a word to the names of the presets of the project in the current folder."""
    return among(sorted(p.stem for p in Path("presets").glob("*.yaml")))(incomplete)


def stages(incomplete: str) -> list[str]:
    """Complete a word to the names of the stages. `saliency` is the stage of the chosen source."""
    chain, optional = (_names(file, r"^  (\w+):$") for file in ("dvc.yaml", "optional/dvc.yaml"))
    return among([*chain, *optional, "saliency"] if chain else [])(incomplete)


def tables(incomplete: str) -> list[str]:
    """Complete a word to the names of the papers' tables."""
    return among(_names("ablation/tables.yaml", r"^(\w+):"))(incomplete)


def _names(file: str, pattern: str) -> list[str]:
    """Find names in a file of the project. Without the file, there are none."""
    return re.findall(pattern, path.read_text(), re.M) if (path := Path(file)).is_file() else []
