"""The figure of a table: precision over recall of every row's class maps as seeds.

It corresponds to the seed figure on the poster of Oh et al., CVPR 2017.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from app.tables import Records, Table
from pipeline.core import formats
from pipeline.scores.seed.seed_curve import BG_RECALL, FG_RECALL, SeedScore
from pipeline.scores.seed.seed_scores import CURVE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = 10  # matplotlib's; after them the lines are dashed


@dataclass(frozen=True)
class Curves:
    """The curves of one row, one for each random seed; `published` is the paper's mP in percent."""

    name: str
    scores: tuple[SeedScore, ...]
    published: float | None

    @property
    def label(self) -> str:
        """The row's name with its mP in percent, a mean over random seeds, and the paper's mP."""
        ours = 100 * statistics.mean(score.mp for score in self.scores)
        text = f"{self.name}: mP " + ("undefined" if math.isnan(ours) else f"{ours:.1f}")
        return text if self.published is None else f"{text} (published {self.published:.1f})"


def read_curves(table: Table, records: Records) -> list[Curves]:
    """Return the curves of each row that has some, in the table's order."""
    columns = [title for title, path in table.columns.items() if path.endswith(".mP")]
    out = []
    for row, name in table.rows.items():
        scores = tuple(_score(c["curve"]) for c in records.get(row, ()) if c["curve"])
        paper = table.paper.get(row, {})
        published = next((paper[title] for title in columns if title in paper), None)
        if scores:
            out.append(Curves(name, scores, published))
    return out


def _score(points: Sequence[Sequence[str]]) -> SeedScore:
    """The curve of a cell, whose points have the columns CURVE."""
    columns = dict(zip(CURVE, np.array(points, float).T / 100, strict=True))
    return SeedScore(
        miou_T=columns["mIoU"],
        fg_precision_T=columns["fg_precision"],
        fg_recall_T=columns["fg_recall"],
        bg_precision_T=columns["bg_precision"],
        bg_recall_T=columns["bg_recall"],
    )


def draw(title: str, curves: Sequence[Curves]) -> "Figure":
    """Draw foreground and background: a line for each random seed, a colour for each row.

    A dot on a line marks the point at which mP reads the precision. All values are in percent.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5 + 0.12 * len(curves)), layout="constrained")
    figure.suptitle(title)
    foreground, background = figure.subplots(1, 2)
    _prepare(foreground, "foreground (mean over classes)", mark=FG_RECALL)
    _prepare(background, "background", mark=BG_RECALL)
    for i, row in enumerate(curves):
        style = {"color": f"C{i % COLOURS}", "linestyle": "-" if i < COLOURS else "--"}
        for k, score in enumerate(row.scores):
            fg, bg = score.mp_steps or (None, None)
            label = "_" if k else row.label  # matplotlib leaves "_" out of the legend
            _line(foreground, score.fg_recall_T, score.fg_precision_T, fg, label=label, **style)
            _line(background, score.bg_recall_T, score.bg_precision_T, bg, label="_", **style)
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    return figure


def _prepare(axes: "Axes", title: str, *, mark: float) -> None:
    """Set title, labels and limits, and draw mP's mark on the recall."""
    axes.set(title=title, xlabel="recall, %", ylabel="precision, %", xlim=(0, 101), ylim=(0, 101))
    axes.grid(alpha=0.3)
    axes.axvline(100 * mark, color="black", linestyle=":", label="_mark")
    axes.annotate(f"recall {mark:.2f}", (100 * mark + 1, 2), fontsize=8)


def _line(axes: "Axes", recall_T: Any, precision_T: Any, step: int | None, **style: Any) -> None:
    dots = [] if step is None else [step]
    axes.plot(100 * recall_T, 100 * precision_T, marker="o", markevery=dots, **style)


def write_curves(path: Path, table: Table, records: Records) -> None:
    """Write the figure as PNG; no file where no row has a curve."""
    path.unlink(missing_ok=True)
    if curves := read_curves(table, records):
        figure = draw(f"{table.name}: {table.title}", curves)
        metadata = {"Software": None}  # it would name matplotlib's version
        formats.replace_file(
            path, lambda f: figure.savefig(f, format="png", dpi=120, metadata=metadata)
        )
