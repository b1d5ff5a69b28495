"""The images of the page as data for its script: short lists, because there may be thousands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.core.samples import Sample
from pipeline.report.drawing import COLOURS
from pipeline.report.judging import KINDS, LINKS, Facts
from pipeline.report.layers import FALSE_NEGATIVE, FALSE_POSITIVE, RIGHT, WRONG_CLASS

LEGEND = (
    ("false positive: an object that is not there", FALSE_POSITIVE),
    ("false negative: a missed object", FALSE_NEGATIVE),
    ("wrong class", WRONG_CLASS),
    ("right", RIGHT),
)


@dataclass(frozen=True)
class Shown:
    """An image of the gallery.

    Attributes:
        sample: The image.
        facts: The judgement on it.
        present: Whether each of the page's layers was made.
        probable: The most probable classes (index from 1) with their probabilities.
    """

    sample: Sample
    facts: Facts
    present: tuple[bool, ...]
    probable: tuple[tuple[int, float], ...]


def data(
    shown: Sequence[Shown], classes: Sequence[str], layers: Sequence[str], run: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what page.js reads.

    Args:
        shown: The images.
        classes: The names of the classes 1, 2, ...
        layers: The names of the layers.
        run: What the page says when another page compares itself with this one.
    """
    place = {name: i for i, name in enumerate(classes, 1)}
    return {
        "classes": ["background", *classes],
        "colours": [hex_colour(c) for c in COLOURS[: len(classes) + 1].tolist()],
        "images": [_record(s, place) for s in shown],
        "kinds": KINDS,
        "layers": layers,
        "legend": [(text, hex_colour(colour)) for text, colour in LEGEND],
        "links": LINKS,
        "run": run,
    }


def _record(shown: Shown, place: Mapping[str, int]) -> list[Any]:
    """The order of the fields is that of FIELDS in page.js."""
    s, facts = shown.sample, shown.facts
    return [
        s.id,
        s.split,
        [place[t] for t in s.tags],
        facts.score,
        KINDS.index(facts.kind),
        -1 if facts.failed is None else LINKS.index(facts.failed),
        facts.values,
        facts.parts,
        facts.classes,
        shown.probable,
        [int(p) for p in shown.present],
        round(s.width_px / s.height_px, 3),
        facts.apart,
    ]


def hex_colour(colour: Sequence[int]) -> str:
    """Write an RGB colour as HTML does."""
    return "#" + "".join(f"{int(c):02x}" for c in colour)
