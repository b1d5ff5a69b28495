"""The chain's scores as lines of a table, for the terminal and the report."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core import formats
from pipeline.core.params import lay_over

# each kind of supervision -> what sets its segmenter apart
SEGMENTERS = {
    "guide": "",
    "full": ", full masks (bound)",
    "oracle": ", oracle guides (bound)",
    "seed": ", seed cues",
    "round2": ", round 2",
    "round3": ", round 3",
    "round4": ", round 4",
}
# (link, its score, name for people) in the chain's order; seeds, fused and guide labels are made
# from an image's true tags, on val too
LINES = (
    ("classifier", "mAP", "classifier"),
    ("maps", "best_mIoU", "class maps, best, read off the truth"),
    ("seeds", "mIoU", "seeds alone, with the true tags"),
    ("saliency", "IoU", "saliency, at fuse's threshold"),
    ("saliency_half", "IoU", "saliency, at half its maximum"),
    ("fused", "mIoU", "fused, parts open, with the true tags"),
    ("guide", "mIoU", "guide labels, with the true tags"),
    *(
        (f"{link}_{supervision}", "mIoU", f"{name}{about}")
        for supervision, about in SEGMENTERS.items()
        for link, name in (("segmenter", "segmenter"), ("refined", "segmenter + CRF"))
    ),
)

# the same links by other measures, for the report
MORE = (
    ("maps", "mP", "class maps, mean precision as seeds"),
    ("localisation", "top1_error", "class maps, box wrong (true boxes: parts of the masks)"),
    ("localisation", "top5_error", "class maps, five best boxes wrong"),
    ("localisation", "point_mAP", "class maps, highest point in a box"),
    ("saliency", "mean_IoU", "saliency, mean over images"),
    ("saliency", "max_F", "saliency, best threshold (read off the truth)"),
    ("saliency", "MAE", "saliency, mean absolute error"),
    ("saliency", "S_measure", "saliency, structure"),
    *(
        (f"refined_{supervision}", score, f"segmenter + CRF{about}, {name}")
        for supervision, about in SEGMENTERS.items()
        for score, name in (
            ("boundary_IoU", "near borders"),
            ("fwIoU", "classes weighted by pixels"),
            ("pixel_accuracy", "pixels"),
        )
    ),
)

# what the tags alone tell; in the terminal where no image has a mask
TAGGED = (
    ("guide", "tags_found", "guide labels, tags that have a pixel"),
    *(
        (f"refined_{supervision}", score, f"segmenter + CRF{about}, {name}")
        for supervision, about in SEGMENTERS.items()
        for score, name in (
            ("tags_found", "tags that have a pixel"),
            ("untagged", "images with a class that is no tag"),
        )
    ),
)

FINAL = {f"refined_{s}": f"segmenter + CRF{about}" for s, about in SEGMENTERS.items()}
FINAL["guide"] = "guide labels"


@dataclass(frozen=True)
class Line:
    """One score of a link, in percent, with the ends of its interval on val (train without val)."""

    link: str
    name: str
    score: str
    train: float | None
    val: float | None
    low: float | None
    high: float | None


def read_scores(files: Iterable[Path]) -> dict[str, Any]:
    """The scores of those groups of links that were scored, as one; empty if none was."""
    found: dict[str, Any] = {}
    for file in files:
        if file.exists():
            lay_over(found, formats.read_json(file))
    return found


def lines(scores: dict[str, Any], of: Sequence[tuple[str, str, str]] = LINES) -> list[Line]:
    """The scores link by link, in the chain's order; links without a score are left out."""
    out = []
    for link, score, name in of:
        train, val = (scores.get(link, {}).get(split, {}) for split in ("train", "val"))
        if train.get(score) is not None or val.get(score) is not None:
            shown = val if val.get(score) is not None else train
            ends = shown.get(f"{score}_low"), shown.get(f"{score}_high")
            out.append(Line(link, name, score, train.get(score), val.get(score), *ends))
    return out


def number(value: float | None) -> str:
    """One decimal; nothing for None."""
    return "" if value is None else f"{value:.1f}"


def interval(line: Line) -> str:
    """The interval's two ends; nothing where there is none."""
    return "" if line.low is None else f"{number(line.low)}-{number(line.high)}"
