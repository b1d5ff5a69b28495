"""Reading and checking the data a user owns: images, tags, and masks for scoring only.

A source is a function from params to entries; `read` checks what it names without opening an image,
`check` opens the files of one entry.
"""

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import formats
from pipeline.arrays import VOID, UInt8
from pipeline.choices import VocData
from pipeline.config import Data
from pipeline.errors import UserError
from pipeline.formats import SUFFIXES, Sample

VOC_NAMES = """
    aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person
    pottedplant sheep sofa train tvmonitor
"""
VOC_CLASSES = tuple(VOC_NAMES.split())


@dataclass(frozen=True)
class Entry:
    """One image as its source names it; `mask_classes[i]` is the name of mask index i + 1.

    `difficult`: tags whose every object is hard to see, learned from but not scored.
    """

    id: str
    image: Path
    split: str
    tags: tuple[str, ...]
    mask: Path | None
    mask_classes: tuple[str, ...]
    difficult: tuple[str, ...] = ()


@dataclass(frozen=True)
class Read:
    """What a source holds: entries, the class list, and how many images were left out, and why."""

    entries: list[Entry]
    classes: tuple[str, ...]
    left_out: dict[str, int]


# --- sources ------------------------------------------------------------------------------------


def _words(tags: str) -> list[str]:
    """Tags as people write them, with blanks or commas between."""
    return tags.replace(",", " ").replace(";", " ").split()


def read_folder(data: Data) -> Read:
    """images/ + tags.csv (id, tags, optional split) + optional masks/ (ID.png, index = class)."""
    options = data.option()
    rows = formats.read_table(data.tags, columns=("id", "tags"))
    images = _by_stem(data.root / "images", SUFFIXES)
    masks = _by_stem(data.root / "masks", (".png",)) if (data.root / "masks").is_dir() else {}
    classes = data.classes or tuple(sorted({t for r in rows for t in _words(r["tags"])}))
    entries = []
    val = _val_ids([r["id"] for r in rows], getattr(options, "val_fraction", 0.0))
    for row in rows:
        key = row["id"]
        if key not in images:
            raise UserError(f"{data.tags}: id '{key}' has no image {data.root}/images/{key}.*")
        split = row.get("split") or ("val" if key in val else "train")
        if split not in ("train", "val"):
            raise UserError(f"{data.tags}: id '{key}': split '{split}' is neither train nor val")
        tags = tuple(_words(row["tags"]))
        for tag in tags:
            if tag not in classes:
                raise UserError(
                    f"{data.tags}: id '{key}': tag '{tag}' is not in data.classes; "
                    "correct the tag or add the class"
                )
        entries.append(Entry(key, images[key], split, tags, masks.get(key), classes))
    return Read(entries, classes, {"images without a line in tags.csv": len(images) - len(rows)})


def _val_ids(ids: Sequence[str], fraction: float) -> set[str]:
    """The same share of val images on every machine, whatever the order of the lines."""
    order = np.random.default_rng(0).permutation(len(ids))
    return {sorted(ids)[i] for i in order[: round(fraction * len(ids))]}


def _by_stem(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    if not folder.is_dir():
        raise UserError(f"{folder}: folder not found; put the images there or set data.root")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in suffixes:
            if path.stem in found:
                raise UserError(f"{path}: id '{path.stem}' stands twice; rename one of the files")
            found[path.stem] = path
    return found


def read_voc(data: Data) -> Read:
    """The devkit's layout; masks in the first of `mask_dirs` that has one."""
    options = data.option()
    assert isinstance(options, VocData)
    for name in data.classes:
        if name not in VOC_CLASSES:
            raise UserError(f"params.yaml: data.classes: '{name}' is no VOC class")
    classes = data.classes or tuple(VOC_CLASSES)
    tags_of = _xml_tags(data.tags) if data.tags.is_dir() else _csv_tags(data.tags)
    entries, without = [], 0
    for split, name in (("train", options.train_list), ("val", options.val_list)):
        for key in _voc_list(data.root, name):
            found = tags_of(key)
            tags = tuple(t for t in classes if t in found)
            difficult = tuple(t for t in tags if found[t])
            masks = (data.root / d / f"{key}.png" for d in options.mask_dirs)
            mask = next((m for m in masks if m.exists()), None)
            image = data.root / "JPEGImages" / f"{key}.jpg"
            without += not tags
            if tags:
                if not image.exists():
                    raise UserError(f"{image}: not found; put it there or take it off the list")
                entries.append(Entry(key, image, split, tags, mask, VOC_CLASSES, difficult))
    return Read(entries, classes, {"images without a class of the list": without})


def _voc_list(root: Path, name: str) -> list[str]:
    path = (
        Path(name) if name.endswith(".txt") else (root / "ImageSets/Segmentation" / f"{name}.txt")
    )
    if not path.exists():
        raise UserError(
            f"{path}: list not found; set data.root to the folder that holds JPEGImages"
        )
    return [line.split()[0] for line in path.read_text().splitlines() if line.strip()]


TagsOf = Callable[[str], dict[str, bool]]  # image -> tag -> whether every such object is difficult


def _csv_tags(path: Path) -> TagsOf:
    rows = formats.read_table(path, columns=("image_id", "tags"))
    tags = {r["image_id"]: dict.fromkeys(_words(r["tags"]), False) for r in rows}
    for key, names in tags.items():
        if unknown := sorted(names.keys() - set(VOC_CLASSES)):
            raise UserError(f"{path}: id '{key}': tag '{unknown[0]}' is no VOC class")

    def of(key: str) -> dict[str, bool]:
        if key not in tags:
            raise UserError(f"{path}: no line for image '{key}'")
        return tags[key]

    return of


def _xml_tags(folder: Path) -> TagsOf:
    def of(key: str) -> dict[str, bool]:
        path, names = folder / f"{key}.xml", dict[str, bool]()
        try:
            for each in ET.parse(path).getroot().iter("object"):
                name, difficult = each.findtext("name", ""), each.findtext("difficult", "0") == "1"
                names[name] = names.get(name, True) and difficult
        except FileNotFoundError as e:
            raise UserError(f"{path}: not found; data.tags may be a tags.csv instead") from e
        except ET.ParseError as e:
            raise UserError(f"{path}: not valid XML ({e})") from e
        if unknown := sorted(names.keys() - set(VOC_CLASSES)):
            raise UserError(f"{path}: object name '{unknown[0]}' is no VOC class")
        return names

    return of


SOURCES: dict[str, Callable[[Data], Read]] = {
    "shapes": read_folder,
    "folder": read_folder,
    "voc": read_voc,
}


# --- checks -------------------------------------------------------------------------------------


def read(data: Data) -> Read:
    """What `data` names: lists, tags and file names are checked, no image is opened.

    Raises:
        UserError: a tag without a class, an image that is not there, a double id, an empty split.
    """
    found = SOURCES[data.source](data)
    double = [key for key, n in Counter(e.id for e in found.entries).items() if n > 1]
    if double:
        raise UserError(f"id '{double[0]}' stands twice in the lists; ids must be unique")
    splits = Counter(e.split for e in found.entries)
    for split in ("train",) if data.source == "folder" else ("train", "val"):
        if not splits[split]:
            raise UserError(
                f"split '{split}' holds no image with a class of {list(found.classes)}; "
                "check the list, the tags and data.classes"
            )
    return found


def check(entry: Entry, classes: Sequence[str]) -> tuple[Sample, UInt8 | None]:
    """Open an image and its mask; the sample, and its label in class-list indices.

    Raises:
        UserError: a file does not decode, the mask has another size or an illegal index.
    """
    height, width = formats.read_image(entry.image).shape[:2]
    label = read_mask(entry, classes, (height, width)) if entry.mask else None
    digest = formats.digest(entry.image)
    return Sample(entry.id, entry.image, entry.split, entry.tags, height, width, digest), label


def read_mask(entry: Entry, classes: Sequence[str], size: tuple[int, ...]) -> UInt8:
    """A mask in class-list indices: classes that are not listed become void.

    Raises:
        UserError: another size than the image, or an index without a class.
    """
    assert entry.mask is not None
    label = formats.read_label(entry.mask)
    if label.shape != size:
        raise UserError(
            f"{entry.mask}: is {label.shape[1]}x{label.shape[0]}, its image {entry.image} "
            f"{size[1]}x{size[0]}; they must agree"
        )
    table = np.full(256, VOID, np.uint8)
    table[0] = 0
    for i, name in enumerate(entry.mask_classes, 1):
        table[i] = classes.index(name) + 1 if name in classes else VOID
    illegal = [int(v) for v in np.unique(label) if len(entry.mask_classes) < v < VOID]
    if illegal:
        raise UserError(
            f"{entry.mask}: index {illegal[0]} has no class; legal are 0 to "
            f"{len(entry.mask_classes)} and {VOID} for void"
        )
    return table[label]


def counts(samples: Sequence[Sample], found: Read, *, masks: int) -> dict[str, object]:
    """Images per split and per class, and what was left out."""
    per_class = {
        split: {c: sum(c in s.tags for s in samples if s.split == split) for c in found.classes}
        for split in ("train", "val")
    }
    return {
        "images": dict(Counter(s.split for s in samples)),
        "images_per_class": per_class,
        "left_out": {k: v for k, v in found.left_out.items() if v},
        "masks": masks,
    }
