"""The lines of the score table, for the terminal and the report."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core import formats
from pipeline.core.params import lay_over
from pipeline.core.supervision import FROM_MASKS

# supervision -> what its segmenter's lines add to the name
SEGMENTERS = {
    "guide": "",
    "full": ", full masks (bound)",
    "oracle": ", oracle guides (bound)",
    "seed": ", seed cues",
    "round2": ", round 2",
    "round3": ", round 3",
    "round4": ", round 4",
    "box": ", Box",
    "box_i": ", Box-i",
    "grabcut_plus": ", GrabCut+",
    "box_round2": ", Box round 2",
    "box_round3": ", Box round 3",
    "box_i_round2": ", Box-i round 2",
    "box_i_round3": ", Box-i round 3",
    "grabcut_plus_round2": ", GrabCut+ round 2",
    "grabcut_plus_round3": ", GrabCut+ round 3",
    "brought": ", brought masks",
    "corrected": ", corrected guides",
}
SEGMENTER_LINES = tuple(
    (f"{link}_{supervision}", f"{name}{suffix}")
    for supervision, suffix in SEGMENTERS.items()
    for link, name in (("segmenter", "segmenter"), ("refined", "segmenter + CRF"))
)
# The labels that these segmenters learn from. Guide labels have a line of their own.
LABEL_LINES = tuple(
    (f"labels_{supervision}", f"labels{suffix}")
    for supervision, suffix in SEGMENTERS.items()
    if supervision not in ("guide", "full")
)
# (link, score, name of the line) in the chain's order. Seeds, fused labels and guide labels use an
# image's true tags, on val too; the names say so.
LINES = (
    ("classifier", "mAP", "classifier"),
    ("chance", "mAP", "chance: images in random order"),
    ("chance", "mIoU", "chance: all background"),
    ("maps", "best_mIoU", "class maps, threshold chosen on truth"),
    ("map_labels", "mIoU", "class maps of predicted tags + CRF"),
    ("seeds", "mIoU", "seeds, using true tags"),
    ("saliency", "IoU", "saliency, at fuse's threshold"),
    ("saliency_half", "IoU", "saliency, at half its maximum"),
    ("fused", "mIoU", "fused before the CRF, using true tags"),
    ("guide", "mIoU", "guide labels, using true tags"),
    *((link, "mIoU", name) for link, name in LABEL_LINES),
    *((link, "mIoU", name) for link, name in SEGMENTER_LINES),
    *((link, "FS%", name) for link, name in SEGMENTER_LINES),
    *(
        (link, f"mIoU_minus_{first}", name.removesuffix(" (bound)"))
        for link, name in (*LABEL_LINES, *SEGMENTER_LINES)
        for first in SEGMENTERS
    ),
)
LABELS_AGREE = tuple(
    (link, f"mIoU_with_{first}", f"{name}, against those of {first}")
    for link, name in LABEL_LINES
    for first in SEGMENTERS
)

# More scores of the same links, for the report.
MORE = (
    *LABELS_AGREE,
    *((link, "several_tags_mIoU", name) for link, score, name in LINES if score == "mIoU"),
    ("maps", "several_tags_best_mIoU", "class maps, threshold chosen on truth"),
    ("classifier", "ECE", "classifier, calibration error"),
    ("classifier", "ECE_scaled", "classifier, calibration error after temperature scaling"),
    ("no_class", "AUROC", "classifier, images without a class of the list"),
    ("no_class", "AP", "classifier, images without a class of the list"),
    ("maps", "mP", "class maps, mean precision as seeds"),
    ("localisation", "top1_error", "class maps, wrong box (true boxes come from masks)"),
    ("localisation", "top5_error", "class maps, all of the five best boxes wrong"),
    ("localisation", "point_mAP", "class maps, highest point in or near a true box"),
    ("saliency", "mean_IoU", "saliency, mean over images"),
    ("saliency", "max_F", "saliency, threshold chosen on truth"),
    ("saliency", "MAE", "saliency, mean absolute error"),
    ("saliency", "S_measure", "saliency, structure measure"),
    *(
        (f"segmenter_{supervision}", score, f"segmenter{suffix}, {name}")
        for supervision, suffix in SEGMENTERS.items()
        for score, name in (
            ("ECE", "calibration error"),
            ("ECE_scaled", "calibration error after temperature scaling"),
        )
    ),
    *(
        (f"refined_{supervision}", score, f"segmenter + CRF{suffix}, {name}")
        for supervision, suffix in SEGMENTERS.items()
        for score, name in (
            ("boundary_IoU", "near borders"),
            ("fwIoU", "classes weighted by pixels"),
            ("pixel_accuracy", "share of right pixels"),
        )
    ),
)

# Scores that need only tags. The terminal shows them if no image has a mask.
TAGGED = (
    ("guide", "tags_found", "guide labels, tags that have a pixel"),
    *LABELS_AGREE,
    *(
        (f"refined_{supervision}", score, f"segmenter + CRF{suffix}, {name}")
        for supervision, suffix in SEGMENTERS.items()
        for score, name in (
            ("tags_found", "tags that have a pixel"),
            ("untagged", "images that show a class without its tag"),
        )
    ),
)

# The links that label images for good, the preferred one first.
FINAL = {f"refined_{s}": f"segmenter + CRF{suffix}" for s, suffix in SEGMENTERS.items()}
FINAL["guide"] = "guide labels"


@dataclass(frozen=True)
class Line:
    """One score of a link, in percent.

    `low` and `high` are the ends of its interval on val, or on train if val has no score.
    """

    link: str
    name: str
    score: str
    train: float | None
    val: float | None
    low: float | None
    high: float | None


def read_scores(files: Iterable[Path]) -> dict[str, Any]:
    """Read all score files that exist into one dict; it is empty if none exists."""
    scores: dict[str, Any] = {}
    for file in files:
        if file.exists():
            lay_over(scores, formats.read_json(file))
    return scores


def lines(scores: dict[str, Any], wanted: Sequence[tuple[str, str, str]] = LINES) -> list[Line]:
    """Return the wanted lines, in their order. Lines without a score are left out."""
    out = []
    for link, score, name in wanted:
        train, val = (scores.get(link, {}).get(split, {}) for split in ("train", "val"))
        if train.get(score) is not None or val.get(score) is not None:
            shown = val if val.get(score) is not None else train
            ends = shown.get(f"{score}_low"), shown.get(f"{score}_high")
            out.append(Line(link, name, score, train.get(score), val.get(score), *ends))
    return out


def flattered(shown: Iterable[Line]) -> bool:
    """Whether only train images score, among them a segmenter that has learned from masks."""
    shown = list(shown)
    from_masks = tuple(f"_{name}" for name in FROM_MASKS)
    return all(line.val is None for line in shown) and any(
        line.link.endswith(from_masks) and line.score == "mIoU" for line in shown
    )


def number(value: float | None) -> str:
    """Format a score with one decimal; None gives an empty text."""
    return "" if value is None else f"{value:.1f}"


def interval(line: Line) -> str:
    """Format the two ends of a line's interval; without one, the text is empty."""
    if line.low is None:
        return ""
    between = "-" if line.low >= 0 else " to "  # a dash before a negative number is confusing
    return f"{number(line.low)}{between}{number(line.high)}"
