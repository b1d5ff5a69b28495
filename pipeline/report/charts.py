"""Line charts as numbers for the template, which draws them as SVG.

The page draws its charts itself, in its own colours: so they follow dark mode and the width of a
phone. Drawings of a library come with fixed colours and sizes.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.ticker import MaxNLocator

WIDTH, HEIGHT = 440, 260  # of the drawing, in its own units
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 10, 38  # the margins around the axes

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Line:
    """A named line of a chart; `path` is its way in the drawing, `dots` are its points."""

    name: str
    path: str
    dots: list[tuple[float, float, str]]


@dataclass(frozen=True)
class Chart:
    """A line chart. A tick is a place in the drawing and its text."""

    title: str
    x_label: str
    y_label: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    lines: list[Line]
    diagonal: bool
    note: str
    size = (WIDTH, HEIGHT)
    left, right, top, bottom = LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM


def line_chart(
    title: str,
    lines: Mapping[str, Points],
    *,
    x_label: str,
    y_label: str,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    diagonal: bool = False,
    note: str = "",
) -> Chart | None:
    """Lay out a line chart; None if no line has a point.

    Args:
        title: The heading.
        lines: The points (x, y) of each line, by its name. Lines without points are left out.
        x_label: The text below the horizontal axis.
        y_label: The text beside the vertical axis.
        x_range: The ends of the horizontal axis; None: those of the points.
        y_range: The ends of the vertical axis; None: from 0 to the highest point.
        diagonal: Whether to draw the diagonal.
        note: An explanation below the chart.
    """
    lines = {name: points for name, points in lines.items() if points}
    if not lines:
        return None
    x_range = x_range or _ends(x for points in lines.values() for x, _ in points)
    y_range = y_range or (0.0, _ends(y for points in lines.values() for _, y in points)[1] or 1.0)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_range[0]) / ((x_range[1] - x_range[0]) or 1)
        up = (y - y_range[0]) / (y_range[1] - y_range[0])
        return (
            round(LEFT + across * (WIDTH - LEFT - RIGHT), 1),
            round(HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM), 1),
        )

    drawn = []
    for name, points in lines.items():
        dots = [(*place(x, y), f"{name}: {_text(x)}, {_text(y)}") for x, y in points]
        drawn.append(Line(name, "M" + "L".join(f"{x} {y}" for x, y, _ in dots), dots))
    x_ticks = [(place(x, 0)[0], _text(x)) for x in ticks(*x_range)]
    y_ticks = [(place(0, y)[1], _text(y)) for y in ticks(*y_range)]
    return Chart(title, x_label, y_label, x_ticks, y_ticks, drawn, diagonal, note)


def ticks(low: float, high: float) -> list[float]:
    """Return round numbers from `low` to `high`."""
    if low == high:
        return [low]
    values = MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return [float(v) for v in values if low - 1e-9 <= v <= high + 1e-9]


def points(rows: Iterable[dict[str, str]], x: str, y: str) -> list[tuple[float, float]]:
    """Read the points of two columns of a table. Rows that lack a number are left out."""
    pairs = [(_number(r.get(x, "")), _number(r.get(y, ""))) for r in rows]
    return [(a, b) for a, b in pairs if math.isfinite(a) and math.isfinite(b)]


def _number(text: str) -> float:
    return float(text) if text else float("nan")


def _ends(values: Iterable[float]) -> tuple[float, float]:
    known = list(values)
    return min(known), max(known)


def _text(value: float) -> str:
    return f"{value:.4g}"
