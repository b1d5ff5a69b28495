"""The HTML report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

from jinja2 import Environment, PackageLoader

from pipeline.report.drawing import COLOURS, FALSE_ALARM, MISSED, MIXED, RIGHT
from pipeline.report.links import FINAL, LINES, MORE, TAGGED, interval, lines, number


@dataclass(frozen=True)
class Shown:
    """A panel of the report: its picture's file, and what the caption says.

    `predicted` names the most probable classes with their probabilities.
    """

    group: str
    id: str
    file: str
    miou: str
    tags: str
    predicted: str


def render(
    *,
    scores: dict[str, Any],
    per_class: Sequence[dict[str, str]],
    classes: Sequence[str],
    shown: Sequence[Shown],
    columns: Sequence[str],
    reliability: Mapping[str, Sequence[dict[str, str]]],
) -> str:
    """Return the report as HTML.

    Parts without content are left out; without masks, most scores are missing.

    Args:
        scores: The scores of all groups of links.
        per_class: Rows with link, split, class and iou.
        classes: The names of the classes 1, 2, ...
        shown: The panels. Their files are relative to the report.
        columns: The titles of a panel's tiles.
        reliability: Rows with confidence, accuracy and count, by network.
    """
    scored = {r["link"] for r in per_class}
    last = next((link for link in FINAL if link in scored), "guide")
    return (
        Environment(loader=PackageLoader("pipeline.report"), autoescape=True, trim_blocks=True)
        .get_template("report.html")
        .render(
            links=_links(scores),
            several_tags=_several_tags(scores),
            about=scores["about"],
            columns=columns,
            reliability={net: rows for net, rows in reliability.items() if rows},
            per_class=[r for r in per_class if r["link"] == last],
            last=FINAL[last],
            classes=[(name, _hex(COLOURS[i])) for i, name in enumerate(classes, 1)],
            shown=shown,
            groups=[(g, [s for s in shown if s.group == g]) for g in ("best", "worst", "random")],
            legend=[
                (text, _hex(colour))
                for text, colour in (
                    ("right", RIGHT),
                    ("false alarm", FALSE_ALARM),
                    ("missed", MISSED),
                    ("wrong class", MIXED),
                )
            ],
        )
    )


def _links(scores: dict[str, Any]) -> list[list[str]]:
    """Return the table of all scores, header first, without empty columns."""
    rows = [
        [line.name, line.score, number(line.train), number(line.val), interval(line)]
        for line in lines(scores, (*LINES, *MORE, *TAGGED))
    ]
    filled = [any(column) for column in zip(*rows, strict=True)]
    head = ["link", "score, %", "train", "val", "95 %"]
    return [list(compress(row, filled)) for row in (head, *rows)] if rows else []


def _several_tags(scores: dict[str, Any]) -> dict[str, int]:
    """Return how many of the scored images have two or more tags, by split."""
    splits = [(split, s) for link in scores.values() for split, s in link.items()]
    key = "several_tags_images"
    return {split: s[key] for split, s in splits if isinstance(s, dict) and key in s}


def _hex(colour: Sequence[int]) -> str:
    return "#" + "".join(f"{int(c):02x}" for c in colour)
