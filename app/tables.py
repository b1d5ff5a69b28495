"""The papers' tables: our values and the published ones, as Markdown, CSV and LaTeX."""

import csv
import io
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from typing import Any

from pipeline.core.errors import UserError

SHARE = "share of "
# stage of ablation/dvc.yaml -> the list in ablation/params.yaml that holds its rows
LISTS = {
    "classifier": "classifiers",
    "guide": "guides",
    "segmenter": "segmenters",
    "chain": "chains",
}
Records = Mapping[str, Sequence[dict[str, Any]]]  # row -> the records of its cells, one per seed


@dataclass(frozen=True)
class Table:
    """A table as ablation/tables.yaml defines it.

    `rows`: row -> the name that the table shows. `columns`: title -> path of the number in a
    cell's scores. A path to several numbers, one for each class, gives a column for each. "share
    of ROW" instead of a path gives the value of the column to the left, in percent of ROW's value
    there. `paper`: row -> title -> published value. `others`: the same for methods that we do not
    run, by their names. `published_on`: the data of these values. `reference`: the row that the
    other rows are compared with, if any. `by_name`: the table runs only if it is named.
    """

    name: str
    title: str
    rows: dict[str, str]
    columns: dict[str, str]
    paper: dict[str, dict[str, float]]
    others: dict[str, dict[str, float]]
    published_on: str
    reference: str
    note: str
    by_name: bool


@dataclass(frozen=True)
class Value:
    """The mean over the seeds, with its standard deviation; or one seed's value and interval."""

    mean: float
    spread: float | None = None
    interval: tuple[float, float] | None = None

    def text(self, sign: str = "-") -> str:
        """Format the value for a table. With `sign` "+", positive numbers also have a sign."""
        if self.spread is not None:
            return f"{self.mean:{sign}.1f} ± {self.spread:.1f}"
        if self.interval is not None:
            low, high = self.interval
            return f"{self.mean:{sign}.1f} ({low:{sign}.1f} to {high:{sign}.1f})"
        return f"{self.mean:{sign}.1f}"


def read(name: str, spec: dict[str, Any]) -> Table:
    """Read one entry of ablation/tables.yaml."""
    return Table(
        name=name,
        title=spec["title"],
        rows=spec["rows"],
        columns=spec["columns"],
        paper=spec.get("paper", {}),
        others=spec.get("others", {}),
        published_on=spec.get("published_on", "VOC 2012"),
        reference=spec.get("reference", ""),
        note=spec.get("note", ""),
        by_name=spec.get("by_name", False),
    )


def choose(specs: dict[str, Any], name: str | None) -> list[Table]:
    """Read the table `name` of ablation/tables.yaml; None means all but those `by_name`.

    Raises:
        UserError: there is no such table.
    """
    if name and name not in specs:
        raise UserError(f"no table '{name}'; choose one of {', '.join(specs)}")
    tables = [read(n, specs[n]) for n in specs if name in (None, n)]
    return [table for table in tables if name or not table.by_name]


def addresses(
    tables: Sequence[Table],
    ablation: dict[str, Any],
    *,
    rows: Sequence[str] | None,
    seeds: Sequence[int] | None,
) -> list[str]:
    """List DVC's names of the tables' cells, of all rows and seeds or of the given ones.

    Raises:
        UserError: no table has such a row, or a row or seed is in no list.
    """
    names = dict.fromkeys(row for table in tables for row in table.rows if not rows or row in rows)
    if not names:
        given = ", ".join(f"'{row}'" for row in rows or ())
        known = ", ".join(row for table in tables for row in table.rows)
        raise UserError(f"no row {given} in this table; choose one of {known}")
    return [address(ablation, row, s) for row in names for s in seeds or ablation["random_seeds"]]


def address(ablation: dict[str, Any], row: str, seed: int) -> str:
    """Return DVC's name of a cell.

    Raises:
        UserError: the row or the seed is in no list.
    """
    stage = next((s for s, name in LISTS.items() if row in ablation[name]), None)
    if stage is None:
        lists = ", ".join(LISTS.values())
        raise UserError(
            f"ablation/params.yaml: row '{row}' is in none of the lists {lists}; add it to one"
        )
    if seed not in ablation["random_seeds"]:
        raise UserError(f"ablation/params.yaml: random_seeds: add {seed} to the list")
    return f"ablation/dvc.yaml:{stage}@{row}-{seed}"


def expand(table: Table, records: Records) -> Table:
    """Replace each column whose path leads to several numbers by a column for each number."""
    columns: dict[str, str] = {}
    for title, path in table.columns.items():
        scores = (look_up(c["scores"], path) for cells in records.values() for c in cells)
        numbers = next((score for score in scores if isinstance(score, dict)), None)
        columns |= {k: f"{path}.{k}" for k in numbers} if numbers else {title: path}
    return replace(table, columns=columns)


def look_up(scores: Any, path: str) -> Any:
    """Return the score at the path LINK.SPLIT.SCORE[.CLASS], or None if there is no such score.

    The link may be a pattern, such as `refined_*`. A class may have dots in its name.

    Raises:
        ValueError: the pattern matches more than one link.
    """
    link, *rest = path.split(".", 3)
    keys = [k for k in scores if fnmatch(k, link)]
    if len(keys) > 1:
        raise ValueError(f"{path}: {' and '.join(keys)} match")
    score = scores[keys[0]] if keys else None
    for part in rest:
        score = (score or {}).get(part)
    return score


def value(cells: Sequence[dict[str, Any]], path: str) -> Value | None:
    """Compute a row's value in one column from its cells; None if no cell has the score."""
    scores = [v for c in cells if (v := look_up(c["scores"], path)) is not None]
    if not scores:
        return None
    if len(scores) > 1:
        return Value(statistics.mean(scores), spread=statistics.stdev(scores))
    low, high = (look_up(cells[0]["scores"], f"{path}_{end}") for end in ("low", "high"))
    return Value(scores[0], interval=(low, high) if low is not None and high is not None else None)


def share_of(table: Table, title: str) -> tuple[str, str]:
    """Return the column and the row that a "share of ROW" refers to."""
    titles = list(table.columns)
    return titles[titles.index(title) - 1], table.columns[title].removeprefix(SHARE)


def markdown(table: Table, lines: Sequence[Sequence[str]], identity: Sequence[str]) -> str:
    """Format the table as Markdown, with its title, its note and the lines of `identity`."""
    head, *rows = lines
    text = [f"## {table.name}: {table.title}", ""]
    text += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    text += ["| " + " | ".join(f"`{c}`" if c.startswith("python") else c for c in r) + " |"
             for r in rows]  # fmt: skip
    text += ["", *([table.note, ""] if table.note else []), *identity]
    return "\n".join(text) + "\n"


def comma_separated(table: Table, lines: Sequence[Sequence[str]], identity: Sequence[str]) -> str:
    """Format the table as CSV, without title and note."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(lines)
    return out.getvalue()


def latex(table: Table, lines: Sequence[Sequence[str]], identity: Sequence[str]) -> str:
    """Format the table as a LaTeX tabular for booktabs, without the column of commands."""
    rows = [[_escape(c) for c in line[:-1]] for line in lines]
    body = [" & ".join(row) + r" \\" for row in rows]
    text = [f"% {table.name}: {table.title}", *(f"% {i}" for i in identity)]
    text += [r"\begin{tabular}{l" + "r" * (len(rows[0]) - 1) + "}", r"\toprule", body[0]]
    text += [r"\midrule", *body[1:], r"\bottomrule", r"\end{tabular}"]
    return "\n".join(text) + "\n"


def _escape(text: str) -> str:
    for character in "&%_#":
        text = text.replace(character, "\\" + character)
    return text.replace("±", r"$\pm$")


WRITERS: dict[str, Callable[[Table, Sequence[Sequence[str]], Sequence[str]], str]] = {
    "md": markdown,
    "csv": comma_separated,
    "tex": latex,
}


def identity(records: Records) -> list[str]:
    """Say in a line what the values come from: data, random seeds, and the params of each row."""
    cells = [cell for row in records.values() for cell in row]
    data = sorted({cell["data"] for cell in cells})
    seeds = sorted({cell["random_seed"] for cell in cells})
    params = ", ".join(f"{row} {cells[0]['params'][:8]}" for row, cells in records.items() if cells)
    lines = [f"Data: {', '.join(data)}. Random seeds: {seeds}. Params: {params}."]
    if once := [row for row, cells in records.items() if len(cells) == 1]:
        lines[0] += f" Only one random seed ran of: {', '.join(once)}."
    return lines
