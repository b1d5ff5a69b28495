"""Judge what each link made of one image: the values that the gallery sorts and filters by.

Shapes: K tags, H, W size of the image in px. Values are in percent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.arrays import CONTESTED, VOID, Float, Mask, UInt8

LINKS = ("classifier", "seeds", "saliency", "guide", "prediction")  # in the chain's order
FAILED = 50.0  # a link fails on an image if its value is below this
RIGHT = 90.0  # from this value on, a label image counts as right
KINDS = (
    "right", "false positive", "false negative", "wrong class",
    "agrees with its tags", "tag without pixels", "class without its tag", "not labelled",
)  # fmt: skip


@dataclass(frozen=True)
class Labels:
    """What the links said of one image. None: the link made nothing, or there is no mask.

    `probability_K` are the classifier's probabilities of the image's tags. `tags` are the class
    indices of the tags.
    """

    probability_K: Float
    tags: frozenset[int]
    saliency: Mask | None
    seed: UInt8 | None
    guide: UInt8 | None
    prediction: UInt8 | None
    truth: UInt8 | None
    brought: UInt8 | None = None


@dataclass(frozen=True)
class Facts:
    """The judgement on one image.

    Attributes:
        values: One for each of LINKS; None if the link cannot be judged.
        parts: Shares of the object pixels of truth and last label that are right, false positive,
            false negative, and of a wrong class; empty without a mask.
        kind: One of KINDS.
        classes: The classes in the last label.
        apart: The share of the pixels on which the guide label and a mask that the user brought
            disagree; None if one of them is missing.
    """

    values: tuple[float | None, ...]
    parts: tuple[float, ...]
    kind: str
    classes: tuple[int, ...]
    apart: float | None = None

    @property
    def score(self) -> float | None:
        """The value of the last link that labelled the image."""
        guide, prediction = self.values[-2:]
        return guide if prediction is None else prediction

    @property
    def failed(self) -> str | None:
        """The first link that failed, if the last label failed; else None."""
        if self.score is None or self.score >= FAILED:
            return None
        pairs = zip(LINKS, self.values, strict=True)
        return next((link for link, v in pairs if v is not None and v < FAILED), None)


def judge(labels: Labels) -> Facts:
    """Judge by the mask, or by the tags if there is no mask."""
    last = labels.guide if labels.prediction is None else labels.prediction
    lowest = 100 * float(labels.probability_K.min()) if len(labels.probability_K) else None
    by_tags, truth = labels.truth is None, labels.truth
    values = [
        lowest,
        seed_value(labels),
        None if labels.saliency is None or truth is None else _overlap(labels.saliency, truth),
        *(label_value(label, labels) for label in (labels.guide, labels.prediction)),
    ]
    parts = () if last is None or truth is None else shares(last, truth)
    kind = "not labelled" if last is None else _tag_kind(last, labels) if by_tags else _kind(parts)
    rounded = tuple(None if v is None else round(v, 1) for v in values)
    shown = () if last is None else tuple(sorted(classes_in(last)))
    apart = disagreement(labels.guide, labels.brought)
    return Facts(rounded, tuple(round(p, 1) for p in parts), kind, shown, apart)


def shares(label_HW: UInt8, truth_HW: UInt8) -> tuple[float, ...]:
    """Return which shares of the object pixels are right, false positive, negative, wrong class.

    An object pixel is one that the truth or the label gives to a class. Void pixels of the truth
    do not count. If there is none, all is right.
    """
    known, true, labelled = truth_HW != VOID, truth_HW > 0, label_HW > 0
    same = label_HW == truth_HW
    counts = [
        int(np.count_nonzero(known & part))
        for part in (true & same, ~true & labelled, true & ~labelled, true & labelled & ~same)
    ]
    total = sum(counts)
    return tuple(100 * n / total for n in counts) if total else (100.0, 0.0, 0.0, 0.0)


def disagreement(label_HW: UInt8 | None, other_HW: UInt8 | None) -> float | None:
    """Return the share of the pixels that have two classes. Pixels void in one do not count."""
    if label_HW is None or other_HW is None:
        return None
    known = (label_HW != VOID) & (other_HW != VOID)
    apart = np.count_nonzero(known & (label_HW != other_HW))
    return round(100 * apart / total, 1) if (total := np.count_nonzero(known)) else None


def label_value(label_HW: UInt8 | None, labels: Labels) -> float | None:
    """Return the share of right object pixels; without a mask, how far classes and tags agree."""
    if label_HW is None:
        return None
    return _agreement(label_HW, labels.tags) if labels.truth is None else shares(
        label_HW, labels.truth
    )[0]  # fmt: skip


def seed_value(labels: Labels) -> float | None:
    """Return the share of the seed pixels that have the right class; 0 without a seed.

    Seeds cover a part of an object, so what they leave out does not count. Without a mask, the
    value says how far the classes of the seeds and the tags agree.
    """
    if labels.seed is None:
        return None
    if labels.truth is None:
        return _agreement(labels.seed, labels.tags)
    right, false, missed, wrong = shares(labels.seed, labels.truth)
    return 100 * right / seeds if (seeds := right + false + wrong) else 0.0 if missed else 100.0


def classes_in(label_HW: UInt8) -> frozenset[int]:
    """Return the classes that have a pixel."""
    return frozenset(np.unique(label_HW).tolist()) - {0, CONTESTED, VOID}


def _agreement(label_HW: UInt8, tags: frozenset[int]) -> float:
    shown = classes_in(label_HW)
    return 100 * len(shown & tags) / len(either) if (either := shown | tags) else 100.0


def _overlap(mask_HW: Mask, truth_HW: UInt8) -> float:
    """Return the IoU of a mask with the objects of all classes."""
    known, true = truth_HW != VOID, truth_HW > 0
    union = np.count_nonzero(known & (mask_HW | true))
    return 100 * float(np.count_nonzero(known & mask_HW & true) / union) if union else 100.0


def _kind(parts: Sequence[float]) -> str:
    """Name the largest kind of error."""
    if parts[0] >= RIGHT:
        return "right"
    return KINDS[1 + int(np.argmax(parts[1:]))]


def _tag_kind(label_HW: UInt8, labels: Labels) -> str:
    shown = classes_in(label_HW)
    if labels.tags - shown:
        return "tag without pixels"
    return "class without its tag" if shown - labels.tags else "agrees with its tags"
