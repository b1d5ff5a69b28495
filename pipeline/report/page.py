"""The HTML report."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

from jinja2 import Environment, PackageLoader

from pipeline.report.drawing import COLOURS, FALSE_ALARM, MISSED, MIXED, RIGHT
from pipeline.report.links import FINAL, LINES, MORE, TAGGED, interval, lines, number


@dataclass(frozen=True)
class Shown:
    """One panel of the report."""

    group: str
    id: str
    file: str
    miou: str
    tags: str


def render(
    *,
    scores: dict[str, Any],
    per_class: Sequence[dict[str, str]],
    classes: Sequence[str],
    shown: Sequence[Shown],
    columns: Sequence[str],
) -> str:
    """The report as one HTML text; pictures are named relative to it.

    A part without content is left out: without masks there is little to score.
    """
    there = {r["link"] for r in per_class}
    last = next((link for link in FINAL if link in there), "guide")
    return (
        Environment(loader=PackageLoader("pipeline.report"), autoescape=True, trim_blocks=True)
        .get_template("report.html")
        .render(
            links=_links(scores),
            about=scores["about"],
            columns=columns,
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
    """The table of all scores, header first, without the columns in which nothing stands."""
    rows = [
        [line.name, line.score, number(line.train), number(line.val), interval(line)]
        for line in lines(scores, (*LINES, *MORE, *TAGGED))
    ]
    if "FS%" in scores:
        rows.append(["share of full supervision", "FS%", "", str(scores["FS%"]), ""])
    filled = [any(column) for column in zip(*rows, strict=True)]
    head = ["link", "score, %", "train", "val", "95 %"]
    return [list(compress(row, filled)) for row in (head, *rows)] if rows else []


def _hex(colour: Sequence[int]) -> str:
    return "#" + "".join(f"{int(c):02x}" for c in colour)
