"""The chain as a picture: a box for each link with its score, and arrows between them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pipeline.report.headline import split_of

WIDTH, HEIGHT = 156, 96  # of a box
# key, title, link of the score files, score, place (column, row) on a wide and on a narrow page
BOXES = (
    ("classifier", "classifier", "classifier", "mAP", (0, 0), (0, 0)),
    ("seeds", "seeds", "seeds", "mIoU", (1, 0), (0, 1)),
    ("saliency", "saliency", "saliency", "IoU", (1, 1), (1, 1)),
    ("fused", "fused", "fused", "mIoU", (2, 0.5), (0.5, 2)),
    ("guide", "guide labels", "guide", "mIoU", (3, 0.5), (0.5, 3)),
    ("segmenter", "segmenter", "segmenter_{}", "mIoU", (4, 0.5), (0.5, 4)),
    ("refined", "segmenter + CRF", "refined_{}", "mIoU", (5, 0.5), (0.5, 5)),
)
ARROWS = (
    ("classifier", "seeds"), ("seeds", "fused"), ("saliency", "fused"), ("fused", "guide"),
    ("guide", "segmenter"), ("segmenter", "refined"),
)  # fmt: skip
FAILS_AT = {"refined": "prediction"}  # the link whose failures a box counts, if not its own
STEP = {"wide": (188, 124), "narrow": (172, 122)}  # from one box to the next


@dataclass(frozen=True)
class Box:
    """A link: its score in percent, on which split, and how many images fail first at it."""

    key: str
    title: str
    link: str
    score: str
    value: float | None
    split: str
    chance: float | None
    failed: int
    fails_at: str
    x: float
    y: float


@dataclass(frozen=True)
class Picture:
    """Boxes and arrows (x, y, x, y) in a drawing of `size`."""

    kind: str
    size: tuple[float, float]
    boxes: list[Box]
    arrows: list[tuple[float, float, float, float]]


def draw(
    scores: dict[str, Any], supervision: str, failed: Iterable[str | None], *, kind: str
) -> Picture:
    """Lay out the chain.

    Args:
        scores: The scores of all groups of links.
        supervision: The first supervision; the boxes of the segmenter are its own.
        failed: The first link that failed, for each image.
        kind: "wide" or "narrow".
    """
    split, counts, step = split_of(scores), Counter(failed), STEP[kind]
    boxes = {}
    for key, title, link, score, wide, narrow in BOXES:
        column, row = wide if kind == "wide" else narrow
        link, fails_at = link.format(supervision), FAILS_AT.get(key, key)  # noqa: PLW2901
        found = scores.get(link, {}).get(split, {})
        if score not in found and "tags_found" in found:  # without masks
            score = "tags_found"  # noqa: PLW2901
        value = found.get(score)
        chance = None if score == "IoU" else scores.get("chance", {}).get(split, {}).get(score)
        boxes[key] = Box(
            key, title, link, score, value, split, chance, counts[fails_at], fails_at,
            1 + column * step[0], 1 + row * step[1],
        )  # fmt: skip
    right = max(b.x for b in boxes.values()) + WIDTH + 1
    bottom = max(b.y for b in boxes.values()) + HEIGHT + 1
    arrows = [_arrow(boxes[a], boxes[b], kind) for a, b in ARROWS]
    return Picture(kind, (right, bottom), [*boxes.values()], arrows)


def _arrow(one: Box, other: Box, kind: str) -> tuple[float, float, float, float]:
    """Go from right to left side on a wide page, and from bottom to top on a narrow one."""
    if kind == "wide":
        return one.x + WIDTH, one.y + HEIGHT / 2, other.x, other.y + HEIGHT / 2
    return one.x + WIDTH / 2, one.y + HEIGHT, other.x + WIDTH / 2, other.y
