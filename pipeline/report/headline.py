"""The few numbers that `dvc metrics` shows."""

from typing import Any

# (name, link, score) in the chain's order. {} stands for the first supervision. With `split`, eight
# columns of short names fit a terminal of 100 columns.
MASKED = (
    ("mAP", "classifier", "mAP"),
    ("seeds", "seeds", "mIoU"),
    ("saliency", "saliency", "IoU"),
    ("guide", "guide", "mIoU"),
    ("segmenter", "segmenter_{}", "mIoU"),
    ("refined", "refined_{}", "mIoU"),
    ("FS%", "refined_{}", "FS%"),
)
TAGGED = (
    ("mAP", "classifier", "mAP"),
    ("tags_found", "refined_{}", "tags_found"),
    ("untagged", "refined_{}", "untagged"),
)


def has_masks(scores: dict[str, Any]) -> bool:
    """Whether masks scored a label image."""
    return any(s.get("mIoU") is not None for s in _by_split(scores, "guide", "seeds").values())


def split_of(scores: dict[str, Any]) -> str:
    """Return the split that the numbers are on: val, or train if val was not scored."""
    links = ("guide", "seeds") if has_masks(scores) else ("classifier",)
    return "val" if "val" in _by_split(scores, *links) else "train"


def headline(scores: dict[str, Any], supervision: str) -> dict[str, Any]:
    """Return the split and at most seven scores, in percent.

    Without masks, the scores are those that need only tags. What was not scored is left out.
    """
    split, found = split_of(scores), dict[str, Any]()
    for name, link, score in MASKED if has_masks(scores) else TAGGED:
        value = scores.get(link.format(supervision), {}).get(split, {}).get(score)
        if value is not None:
            found[name] = value
    return {"split": split, **found}


def _by_split(scores: dict[str, Any], *links: str) -> dict[str, Any]:
    return {split: s for link in links for split, s in scores.get(link, {}).items()}
