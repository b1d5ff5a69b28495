"""The HTML page. Styles, script, charts and data are inside it; only pictures are other files."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from statistics import median
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from pipeline.core.samples import Sample
from pipeline.report import gallery, layers, picture, tallies
from pipeline.report.charts import Chart
from pipeline.report.gallery import Shown
from pipeline.report.headline import split_of
from pipeline.report.judging import KINDS, LINKS
from pipeline.report.links import FINAL, LINES, MORE, TAGGED, interval, lines, number
from pipeline.report.tallies import ClassIou, Matrix


@dataclass(frozen=True)
class Content:
    """What the page shows. Parts without content are left out.

    Attributes:
        scores: The scores of all groups of links.
        supervision: The values of segment.supervision. Pictures show the first one.
        classes: The names of the classes 1, 2, ...
        samples: All images.
        shown: The images of the gallery.
        class_iou: The IoU of each class of the last link.
        scored: The link and the split of `class_iou`.
        confusion: The confusions of the last segmenter.
        charts: Line charts; None where there is nothing to draw.
        made_of: Params, versions and hashes of what made the scores; empty if unknown.
    """

    scores: Mapping[str, Any]
    supervision: Sequence[str]
    classes: Sequence[str]
    samples: Sequence[Sample]
    shown: Sequence[Shown]
    class_iou: Sequence[ClassIou]
    scored: tuple[str, str] | None
    confusion: Matrix | None
    charts: Sequence[Chart | None]
    made_of: Mapping[str, Any]


def render(content: Content) -> str:
    """Return the page as HTML. Names from the data appear as text only."""
    loader = PackageLoader("pipeline.report")
    env = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    script, style = (loader.get_source(env, name)[0] for name in ("page.js", "page.css"))
    scores, failed = dict(content.scores), [s.facts.failed for s in content.shown]
    balance = tallies.class_balance(content.samples, content.classes)
    kinds = ("wide", "narrow")
    pictures = [picture.draw(scores, content.supervision[0], failed, kind=k) for k in kinds]
    shown_layers, run = layers.of_page(content.supervision), _run(pictures[0], content.class_iou)
    return env.get_template("report.html").render(
        content=content,
        about=scores["about"],
        split=split_of(scores),
        pictures=pictures,
        box=(picture.WIDTH, picture.HEIGHT),
        scored=content.scored and (FINAL[content.scored[0]], content.scored[1]),
        charts=[c for c in content.charts if c],
        balance=balance,
        widest=max([1, *(sum(n.values()) for _, n in balance)]),
        pairs=tallies.cooccurrence(content.samples, content.classes),
        splits=_splits(content.samples),
        table=score_table(scores),
        several_tags=_several_tags(scores),
        params=flat(content.made_of.get("params", {})),
        kinds=_used(KINDS, [s.facts.kind for s in content.shown]),
        fails=_used(LINKS, failed),
        brought=_brought(content.shown, shown_layers),
        data=gallery.data(content.shown, content.classes, shown_layers, run),
        script=Markup(script),
        style=Markup(style),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _run(drawn: picture.Picture, class_iou: Sequence[ClassIou]) -> dict[str, Any]:
    """Return the scores that another page can compare itself with."""
    scores = {box.title: box.value for box in drawn.boxes if box.value is not None}
    return {"scores": scores, "classes": {c.name: c.iou for c in class_iou}}


def _brought(shown: Sequence[Shown], shown_layers: Sequence[str]) -> dict[str, Any]:
    """Say how far guide labels and brought masks disagree; {} without images that have both."""
    apart = [s.facts.apart for s in shown if s.facts.apart is not None]
    if not apart:
        return {}
    return {"images": len(apart), "median": median(apart), "most": max(apart),
            "layer": shown_layers.index("brought") + 1}  # fmt: skip


def score_table(scores: dict[str, Any]) -> list[list[str]]:
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


def _splits(samples: Sequence[Sample]) -> dict[str, int]:
    """Count the images of each split."""
    counts = {split: sum(s.split == split for s in samples) for split in tallies.SPLITS}
    return {split: count for split, count in counts.items() if count}


def _used(names: Sequence[str], values: Sequence[str | None]) -> list[tuple[str, int]]:
    """Return name and count of those names that occur."""
    return [(name, values.count(name)) for name in names if name in values]


def flat(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return each param by its dotted name, once, though stages may name a section and its part."""
    found: dict[str, Any] = {}
    for name, value in params.items():
        nested = isinstance(value, Mapping) and value
        found |= flat(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value}
    return dict(sorted(found.items()))
