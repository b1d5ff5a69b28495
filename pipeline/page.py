"""The scores as a table for people, and the HTML report."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment

from pipeline.blocks import SUPERVISIONS
from pipeline.viz import COLOURS, FALSE_ALARM, MISSED, MIXED, RIGHT

# link in scores.json -> (its name for people, its score); seeds, fused and guide labels are made
# from an image's true tags, on val too
LINKS = {
    "classifier": ("classifier", "mAP"),
    "maps": ("class maps, best threshold (read off the truth)", "best_mIoU"),
    "seeds": ("seeds alone, with the true tags", "mIoU"),
    "saliency": ("saliency, at fuse's threshold", "IoU"),
    "saliency_half": ("saliency, at half its maximum", "IoU"),
    "fused": ("fused, contested parts open, with the true tags", "mIoU"),
    "guide": ("guide labels, with the true tags", "mIoU"),
    **{
        f"{link}_{supervision}": (f"{name}{about}", "mIoU")
        for supervision, about in SUPERVISIONS.items()
        for link, name in (("segmenter", "segmenter"), ("refined", "segmenter + CRF"))
    },
}


@dataclass(frozen=True)
class Line:
    """One link's scores, in percent."""

    link: str
    name: str
    score: str
    train: float | None
    val: float | None


@dataclass(frozen=True)
class Shown:
    """One panel of the report."""

    group: str
    id: str
    file: str
    miou: str
    tags: str


def lines(scores: dict[str, Any]) -> list[Line]:
    """The scores link by link, in the chain's order; links without a score are left out."""
    out = []
    for link, (name, score) in LINKS.items():
        by_split = scores.get(link, {})
        train, val = (by_split.get(s, {}).get(score) for s in ("train", "val"))
        if train is not None or val is not None:
            out.append(Line(link, name, score, train, val))
    return out


def render(
    *,
    scores: dict[str, Any],
    per_class: Sequence[dict[str, str]],
    classes: Sequence[str],
    shown: Sequence[Shown],
    columns: Sequence[str],
) -> str:
    """The report as one HTML text; pictures are named relative to it."""
    there = {r["link"] for r in per_class}
    ends = [f"refined_{s}" for s in SUPERVISIONS]
    last = next((x for x in ends if x in there), "guide")
    return (
        Environment(autoescape=True, trim_blocks=True)
        .from_string(TEMPLATE)
        .render(
            lines=lines(scores),
            about=scores["about"],
            fs=scores.get("FS%"),
            columns=columns,
            per_class=[r for r in per_class if r["link"] == last],
            last=LINKS[last][0],
            classes=[(name, _hex(COLOURS[i])) for i, name in enumerate(classes, 1)],
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
.tables{display:flex;flex-wrap:wrap;gap:3rem}.key{display:inline-block;width:.9em;height:.9em;
margin:0 .3em 0 .9em;vertical-align:-.1em;border:1px solid #0002}
figure{margin:0 0 1rem}figure img{width:100%;display:block}figcaption{color:#555;font-size:.9em}
.heads{display:flex;color:#555;font-size:.85em}.heads span{flex:1;text-align:center}
</style></head><body>
<h1>GuideLabel report</h1>
<p>{{ about.images_scored }} images with a mask to score by. Saliency: <b>{{ about.saliency }}</b>
(learned from: {{ about.saliency_trained_on }}). Trained on:
{% for net, on in about.run_on.items() %}
{{ net }}: {{ on.device }}, {{ on.precision }};
{% endfor %}</p>
<div class="tables"><div><h2>Link by link</h2><table>
<tr><th>link</th><th>score, %</th><th class="n">train</th><th class="n">val</th></tr>
{% for l in lines %}
<tr><td>{{ l.name }}</td><td>{{ l.score }}</td>
<td class="n">{{ "%.1f"|format(l.train) if l.train is not none else "" }}</td>
<td class="n">{{ "%.1f"|format(l.val) if l.val is not none else "" }}</td></tr>
{% endfor %}
{% if fs is not none %}<tr><td>share of full supervision</td><td>FS%</td><td></td>
<td class="n">{{ fs }}</td></tr>{% endif %}
</table></div>
<div><h2>IoU per class, {{ last }}</h2><table>
<tr><th>class</th><th>split</th><th class="n">IoU, %</th></tr>
{% for r in per_class %}
<tr><td>{{ r["class"] }}</td><td>{{ r.split }}</td><td class="n">{{ r.iou }}</td></tr>
{% endfor %}
</table></div></div>
<h2>Panels</h2>
<p>Classes:{% for name, colour in classes %}<span class="key" style="background:{{ colour }}">
</span>{{ name }}{% endfor %}</p>
<p>Errors:{% for name, colour in legend %}<span class="key" style="background:{{ colour }}">
</span>{{ name }}{% endfor %}</p>
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
