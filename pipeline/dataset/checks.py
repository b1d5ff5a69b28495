"""Open and check the files of one entry, and count the images of a data set."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core import decoding, formats, shards
from pipeline.core.arrays import UInt8
from pipeline.core.errors import UserError
from pipeline.core.samples import Sample
from pipeline.dataset import masks
from pipeline.dataset.entries import Entry, Read

MAX_12_BIT = 4095
FRAMES = "images with several frames, of which the first is used"
DARK = "16-bit images that look black, because their values need only 12 bits"


@dataclass(frozen=True)
class Checked:
    """A sample, its label (H, W) in indices of the class list or None, and what is odd about it."""

    sample: Sample
    label: UInt8 | None
    notes: tuple[str, ...]


def check(entry: Entry, classes: Sequence[str]) -> Checked:
    """Open an image and its mask, if it has one.

    Raises:
        UserError: a file cannot be decoded, the mask is not the size of its image, or the mask
            has an index without a class.
    """
    height, width = formats.read_image(entry.image).shape[:2]
    notes, label = image_notes(entry.image), None
    if entry.mask:
        mask = formats.read_label(entry.mask)
        check_size(entry, mask.shape, (height, width))
        values = masks.values_of(mask)
        table = masks.index_table(entry, classes, values)
        label, notes = table[mask], notes + masks.notes(entry, classes, values, table)
    with shards.open_file(entry.image) as file:
        digest = hashlib.blake2b(file.read(), digest_size=8).hexdigest()  # not the name
    sample = Sample(entry.id, entry.image, entry.split, entry.tags, height, width, digest)
    return Checked(sample, label, notes)


def image_notes(path: Path) -> tuple[str, ...]:
    """Say what is odd about an image that can be read.

    Raises:
        UserError: its header cannot be read; or it has more than 8 bits and cannot be decoded.
    """
    header = decoding.read_header(path)
    dark = header.mode.startswith("I") and formats.read_image(path).max() <= MAX_12_BIT // 257
    odd = {FRAMES: header.frames > 1, DARK: dark}
    return tuple(note for note, holds in odd.items() if holds)


def check_size(entry: Entry, mask_size: Sequence[int], image_size: Sequence[int]) -> None:
    """Compare the sizes (height, width) of an image and its mask.

    Raises:
        UserError: they differ.
    """
    if tuple(mask_size) != tuple(image_size):
        raise UserError(
            f"{entry.mask}: size is {mask_size[1]}x{mask_size[0]}, but its image "
            f"{entry.image} is {image_size[1]}x{image_size[0]}; make them the same size"
        )


def in_train_and_val(samples: Sequence[Sample]) -> list[tuple[str, str]]:
    """Return the ids of a train image and a val image for each val file that train holds too."""
    train = {s.digest: s.id for s in samples if s.split == "train"}
    return [(train[s.digest], s.id) for s in samples if s.split == "val" and s.digest in train]


def group(notes: Iterable[tuple[str, tuple[str, ...]]]) -> dict[str, list[str]]:
    """Turn pairs of an id and its notes into the ids of each note."""
    ids_by_note: dict[str, list[str]] = {}
    for key, notes_of_id in notes:
        for note in notes_of_id:
            ids_by_note.setdefault(note, []).append(key)
    return ids_by_note


def counts(
    samples: Sequence[Sample],
    dataset: Read,
    *,
    masks: int,
    ids_by_note: Mapping[str, Sequence[str]],
) -> dict[str, object]:
    """Count images of each split and class, masks, files left out, notes and corrections."""
    per_class = {
        split: {c: sum(c in s.tags for s in samples if s.split == split) for c in dataset.classes}
        for split in ("train", "val")
    }
    return {
        "images": dict(Counter(s.split for s in samples)),
        "images_per_class": per_class,
        "left_out": {k: v for k, v in dataset.left_out.items() if v},
        "masks": masks,
        "notes": {note: len(ids) for note, ids in ids_by_note.items()},
        "repairs": dataset.repairs,
        "val_images_in_train": len(in_train_and_val(samples)),
    }


def describe(counts: Mapping[str, Any]) -> list[str]:
    """Say what `counts` holds, in a line for each thing that there is."""

    def listed(numbers: Mapping[str, int]) -> str:
        return ", ".join(f"{name} {number}" for name, number in numbers.items())

    lines = [
        f"{number} images of {split}: {listed(counts['images_per_class'][split])}"
        for split, number in counts["images"].items()
    ]
    lines.append(f"{counts['masks']} masks")
    lines += [f"{name.replace('_', ' ')}: {listed(counts[name])}"
              for name in ("left_out", "repairs") if counts[name]]  # fmt: skip
    return lines
