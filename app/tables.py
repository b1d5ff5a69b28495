"""The papers' tables: our cells beside the published numbers, as Markdown, CSV and LaTeX."""

import csv
import io
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from typing import Any

from pipeline.core.errors import UserError

LISTS = {"classifier": "classifiers", "guide": "guides", "segmenter": "segmenters"}  # stage: rows
Records = Mapping[str, Sequence[dict[str, Any]]]  # row -> its cells, one a random seed


@dataclass(frozen=True)
class Table:
    """What a table of ablation/tables.yaml holds.

    `columns`: title -> path into a cell's scores; "share of ROW" in place of a path: in percent of
    that row's value in the column before. A path to several numbers (one a class) makes a column
    of each. `paper`: row -> title -> value. `others`: method ->
    title -> value, for methods we do not run. `by_name`: the table runs only if it is named.
    """

    name: str
    title: str
    rows: dict[str, str]
    columns: dict[str, str]
    paper: dict[str, dict[str, float]]
    others: dict[str, dict[str, float]]
    note: str
    by_name: bool


@dataclass(frozen=True)
class Value:
    """Mean over seeds; spread where there are several, or one seed's bootstrap interval."""

    mean: float
    spread: float | None = None
    interval: tuple[float, float] | None = None

    def text(self) -> str:
        """As it stands in a table."""
        if self.spread is not None:
            return f"{self.mean:.1f} ± {self.spread:.1f}"
        if self.interval is not None:
            return f"{self.mean:.1f} ({self.interval[0]:.1f} to {self.interval[1]:.1f})"
        return f"{self.mean:.1f}"


def read(name: str, spec: dict[str, Any]) -> Table:
    """One entry of ablation/tables.yaml."""
    return Table(
        name=name,
        title=spec["title"],
        rows=spec["rows"],
        columns=spec["columns"],
        paper=spec.get("paper", {}),
        others=spec.get("others", {}),
        note=spec.get("note", ""),
        by_name=spec.get("by_name", False),
    )


def address(ablation: dict[str, Any], row: str, seed: int) -> str:
    """DVC's name of a cell.

    Raises:
        UserError: the row stands in no list, or the seed is not listed.
    """
    stage = next((s for s, name in LISTS.items() if row in ablation[name]), None)
    if stage is None:
        lists = ", ".join(LISTS.values())
        raise UserError(f"ablation/params.yaml: row '{row}' is in none of the lists {lists}")
    if seed not in ablation["random_seeds"]:
        raise UserError(f"ablation/params.yaml: random_seeds: add {seed} to the list")
    return f"ablation/dvc.yaml:{stage}@{row}-{seed}"


def expand(table: Table, records: Records) -> Table:
    """The same table, with a column for each number where a path leads to several."""
    columns: dict[str, str] = {}
    for title, path in table.columns.items():
        found = (look_up(c["scores"], path) for cells in records.values() for c in cells)
        several = next((f for f in found if isinstance(f, dict)), None)
        each = {k: f"{path}.{k}" for k in several} if several else {title: path}
        columns |= each
    return replace(table, columns=columns)


def look_up(scores: Any, path: str) -> Any:
    """What stands at the path LINK.SPLIT.SCORE[.CLASS]; None where there is nothing.

    The link may be a pattern, such as `refined_*`; a class may have dots in its name.

    Raises:
        ValueError: two links match, and which is meant nobody knows.
    """
    link, *rest = path.split(".", 3)
    keys = [k for k in scores if fnmatch(k, link)]
    if len(keys) > 1:
        raise ValueError(f"{path}: {' and '.join(keys)} match")
    found = scores[keys[0]] if keys else None
    for part in rest:
        found = (found or {}).get(part)
    return found


def value(cells: Sequence[dict[str, Any]], path: str) -> Value | None:
    """A row's value in one column, over its cells."""
    found = [v for c in cells if (v := look_up(c["scores"], path)) is not None]
    if not found:
        return None
    if len(found) > 1:
        return Value(statistics.mean(found), spread=statistics.stdev(found))
    low, high = (look_up(cells[0]["scores"], f"{path}_{end}") for end in ("low", "high"))
    return Value(found[0], interval=(low, high) if low is not None and high is not None else None)


def grid(table: Table, records: Records) -> list[list[str]]:
    """Header and rows as texts: ours, the paper's value and the difference where it has one.

    The command names the random seeds that the row's values stand on; without any it runs all.
    """
    head = ["row"]
    for title in table.columns:
        head += [title, f"{title}: paper", "difference"] if _published(table, title) else [title]
    lines = [[*head, "command"]]
    for row, label in table.rows.items():
        line = [label]
        for title in table.columns:
            ours = _ours(table, records, row, title)
            line.append(ours.text() if ours else "missing")
            if _published(table, title):
                paper = table.paper.get(row, {}).get(title)
                line.append("" if paper is None else f"{paper:.1f}")
                line.append("" if paper is None or ours is None else f"{ours.mean - paper:+.1f}")
        seeds = "".join(f" --seed {cell['random_seed']}" for cell in records.get(row, ()))
        lines.append([*line, f"python cli.py table {table.name} --row {row}{seeds}"])
    for label, values in table.others.items():
        line = [label]
        for title in table.columns:
            given = f"{values[title]:.1f}" if title in values else ""
            line += ["", given, ""] if _published(table, title) else [""]
        lines.append([*line, ""])
    return lines


def _published(table: Table, title: str) -> bool:
    return any(title in values for values in (*table.paper.values(), *table.others.values()))


def _ours(table: Table, records: Records, row: str, title: str) -> Value | None:
    path = table.columns[title]
    if not path.startswith("share of "):
        return value(records.get(row, ()), path)
    before = list(table.columns)[list(table.columns).index(title) - 1]
    mine, whole = (_ours(table, records, r, before) for r in (row, path.removeprefix("share of ")))
    return Value(100 * mine.mean / whole.mean) if mine and whole else None


def markdown(table: Table, lines: Sequence[Sequence[str]], identity: Sequence[str]) -> str:
    """The table with its title, note, and what identifies params and data."""
    head, *rows = lines
    text = [f"## {table.name}: {table.title}", ""]
    text += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    text += ["| " + " | ".join(f"`{c}`" if c.startswith("python") else c for c in r) + " |"
             for r in rows]  # fmt: skip
    text += ["", *([table.note, ""] if table.note else []), *identity]
    return "\n".join(text) + "\n"


def comma_separated(table: Table, lines: Sequence[Sequence[str]], identity: Sequence[str]) -> str:
    """The table alone."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(lines)
    return out.getvalue()


def latex(table: Table, lines: Sequence[Sequence[str]], identity: Sequence[str]) -> str:
    """A tabular without the commands, for booktabs."""
    kept = [[_escape(c) for c in line[:-1]] for line in lines]
    body = [" & ".join(line) + r" \\" for line in kept]
    text = [f"% {table.name}: {table.title}", *(f"% {i}" for i in identity)]
    text += [r"\begin{tabular}{l" + "r" * (len(kept[0]) - 1) + "}", r"\toprule", body[0]]
    text += [r"\midrule", *body[1:], r"\bottomrule", r"\end{tabular}"]
    return "\n".join(text) + "\n"


def _escape(text: str) -> str:
    for mark in "&%_#":
        text = text.replace(mark, "\\" + mark)
    return text.replace("±", r"$\pm$")


WRITERS: dict[str, Callable[[Table, Sequence[Sequence[str]], Sequence[str]], str]] = {
    "md": markdown,
    "csv": comma_separated,
    "tex": latex,
}


def identity(records: Records) -> list[str]:
    """Lines that tell two runs apart: data, params of each row, random seeds."""
    cells = [cell for row in records.values() for cell in row]
    data = sorted({cell["data"] for cell in cells})
    seeds = sorted({cell["random_seed"] for cell in cells})
    params = ", ".join(f"{row} {cells[0]['params'][:8]}" for row, cells in records.items() if cells)
    return [f"Data: {', '.join(data)}. Random seeds: {seeds}. Params: {params}."]
