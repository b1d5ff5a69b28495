"""Open and check the files of one entry, and count the images of a data set."""

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from pipeline.core import formats
from pipeline.core.arrays import VOID, UInt8
from pipeline.core.errors import UserError
from pipeline.core.samples import Sample
from pipeline.dataset.entries import Entry, Read


def check(entry: Entry, classes: Sequence[str]) -> tuple[Sample, UInt8 | None]:
    """Open an image and its mask, if it has one.

    Returns:
        The sample, and its label (H, W) in indices of the class list, or None without a mask.

    Raises:
        UserError: a file cannot be decoded, the mask is not the size of its image, or the mask
            has an index without a class.
    """
    height, width = formats.read_image(entry.image).shape[:2]
    label = read_mask(entry, classes, (height, width)) if entry.mask else None
    digest = hashlib.blake2b(entry.image.read_bytes(), digest_size=8).hexdigest()  # not the name
    return Sample(entry.id, entry.image, entry.split, entry.tags, height, width, digest), label


def read_mask(entry: Entry, classes: Sequence[str], size: tuple[int, ...]) -> UInt8:
    """Read a mask and convert it to indices of the class list.

    Pixels of classes that are not in `classes` become void.

    Args:
        entry: an entry with a mask.
        classes: the class list; class i of it gets index i + 1.
        size: (height, width) of the image, in px.

    Returns:
        Label (H, W): 0 background, 1.. classes, 255 void.

    Raises:
        UserError: the mask is not the size of its image, or has an index without a class.
    """
    assert entry.mask is not None
    label = formats.read_label(entry.mask)
    if label.shape != size:
        raise UserError(
            f"{entry.mask}: size is {label.shape[1]}x{label.shape[0]}, but its image "
            f"{entry.image} is {size[1]}x{size[0]}; make them the same size"
        )
    table = np.full(256, VOID, np.uint8)
    table[0] = 0
    for i, name in enumerate(entry.mask_classes, 1):
        table[i] = classes.index(name) + 1 if name in classes else VOID
    illegal = [int(v) for v in np.unique(label) if len(entry.mask_classes) < v < VOID]
    if illegal:
        raise UserError(
            f"{entry.mask}: index {illegal[0]} has no class; use 0 to "
            f"{len(entry.mask_classes)}, and {VOID} for void"
        )
    return table[label]


def in_train_and_val(samples: Sequence[Sample]) -> list[tuple[str, str]]:
    """Return the ids of a train image and a val image for each val file that train holds too."""
    train = {s.digest: s.id for s in samples if s.split == "train"}
    return [(train[s.digest], s.id) for s in samples if s.split == "val" and s.digest in train]


def counts(samples: Sequence[Sample], dataset: Read, *, masks: int) -> dict[str, object]:
    """Count images of each split and class, masks, images left out, and what was corrected."""
    per_class = {
        split: {c: sum(c in s.tags for s in samples if s.split == split) for c in dataset.classes}
        for split in ("train", "val")
    }
    return {
        "images": dict(Counter(s.split for s in samples)),
        "images_per_class": per_class,
        "left_out": {k: v for k, v in dataset.left_out.items() if v},
        "masks": masks,
        "repairs": dataset.repairs,
        "val_images_in_train": len(in_train_and_val(samples)),
    }
