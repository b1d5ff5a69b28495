"""The scores as a table for people, and the HTML report."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

from jinja2 import Environment

from pipeline import formats, params
from pipeline.blocks import SUPERVISIONS
from pipeline.viz import COLOURS, FALSE_ALARM, MISSED, MIXED, RIGHT

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
        for supervision, about in SUPERVISIONS.items()
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
        for supervision, about in SUPERVISIONS.items()
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
        for supervision, about in SUPERVISIONS.items()
        for score, name in (
            ("tags_found", "tags that have a pixel"),
            ("untagged", "images with a class that is no tag"),
        )
    ),
)
FINAL = {f"refined_{s}": f"segmenter + CRF{about}" for s, about in SUPERVISIONS.items()}
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


@dataclass(frozen=True)
class Shown:
    """One panel of the report."""

    group: str
    id: str
    file: str
    miou: str
    tags: str


def read_scores(files: Iterable[Path]) -> dict[str, Any]:
    """The scores of those groups of links that were scored, as one; empty if none was."""
    found: dict[str, Any] = {}
    for file in files:
        if file.exists():
            params.lay_over(found, formats.read_json(file))
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
        Environment(autoescape=True, trim_blocks=True)
        .from_string(TEMPLATE)
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


TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>GuideLabel report</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body{font:15px/1.5 system-ui,sans-serif;color:#222;margin:2rem auto;max-width:1320px;padding:0 1rem}
h1{margin:0 0 .2rem}h2{margin:2rem 0 .5rem}p{margin:.3rem 0;color:#555}
table{border-collapse:collapse}td,th{padding:.25rem .9rem .25rem 0;text-align:left}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}tr+tr td{border-top:1px solid #eee}
.tables{display:flex;flex-wrap:wrap;gap:3rem}.tables p{max-width:44rem}
.key{display:inline-block;width:.9em;height:.9em;
margin:0 .3em 0 .9em;vertical-align:-.1em;border:1px solid #0002}
figure{margin:0 0 1rem}figure img{width:100%;display:block}figcaption{color:#555;font-size:.9em}
.heads{display:flex;color:#555;font-size:.85em}.heads span{flex:1;text-align:center}
</style></head><body>
<h1>GuideLabel report</h1>
<p>{% if about.images_scored %}{{ about.images_scored }} images with a mask to score by.
{% else %}No image has a mask to score by.{% endif %} Saliency: <b>{{ about.saliency }}</b>
(learned from: {{ about.saliency_trained_on }}). Trained on:
{% for net, on in about.run_on.items() %}
{{ net }}: {{ on.device }}, {{ on.precision }};
{% endfor %}</p>
<div class="tables">
{% if links %}
<div><h2>Link by link</h2><table>
{% for row in links %}
{% set tag = "th" if loop.first else "td" %}
<tr>{% for cell in row %}
<{{ tag }}{% if loop.index > 2 %} class="n"{% endif %}>{{ cell }}</{{ tag }}>
{% endfor %}</tr>
{% endfor %}
</table>
{% if "95 %" in links[0] %}
<p>95 %: bootstrap interval over the images of val (of train where there is no val): in 95 of 100
redrawn splits the score lies inside. It knows nothing of another training run's luck.</p>
{% endif %}
</div>
{% endif %}
{% if per_class %}
<div><h2>IoU per class, {{ last }}</h2><table>
<tr><th>class</th><th>split</th><th class="n">IoU, %</th></tr>
{% for r in per_class %}
<tr><td>{{ r["class"] }}</td><td>{{ r.split }}</td><td class="n">{{ r.iou }}</td></tr>
{% endfor %}
</table></div>
{% endif %}
</div>
{% if shown %}
<h2>Panels</h2>
<p>Classes:{% for name, colour in classes %}<span class="key" style="background:{{ colour }}">
</span>{{ name }}{% endfor %}</p>
{% if "errors" in columns %}
<p>Errors:{% for name, colour in legend %}<span class="key" style="background:{{ colour }}">
</span>{{ name }}{% endfor %}</p>
{% endif %}
{% endif %}
{% for group, items in groups if items %}
<h2>{{ group|capitalize }}</h2>
<div class="heads">{% for c in columns %}<span>{{ c }}</span>{% endfor %}</div>
{% for s in items %}
<figure><img src="{{ s.file }}" alt="{{ s.id }}" loading="lazy">
<figcaption>{{ s.id }}: {{ s.tags }}{% if s.miou %}, mIoU {{ s.miou }}{% endif %}</figcaption>
</figure>
{% endfor %}{% endfor %}
</body></html>
"""
