"""Opening and checking the files of one entry; counting what was found."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from pipeline.core import formats
from pipeline.core.arrays import VOID, UInt8
from pipeline.core.errors import UserError
from pipeline.core.samples import Sample
from pipeline.dataset.entries import Entry, Read


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
