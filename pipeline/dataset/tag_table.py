"""Read a tags.csv: the tags of each image, and optionally its split."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.core import tables
from pipeline.core.errors import UserError, at_lines, listing
from pipeline.core.tables import Table
from pipeline.dataset.names import nearest, words

SPLITS = ("train", "val")


@dataclass(frozen=True)
class Row:
    """One image of a tags.csv. `split` is empty if the table names none."""

    id: str
    line: int
    tags: tuple[str, ...]
    split: str

    @property
    def name(self) -> str:
        """The id and its line, as errors name them."""
        return f"{self.id!r} (line {self.line})"


def read_tags(path: Path, *, id_column: str) -> tuple[list[Row], Counter[str]]:
    """Read a tags.csv with the columns `id_column`, tags and optionally split.

    Returns:
        The rows, and a count of what was corrected, by its kind.

    Raises:
        UserError: the table cannot be read, or it has no row, an empty id, an id on two lines, a
            line end inside a field, or an unknown split.
    """
    table = tables.read(path, columns=(id_column, "tags"))
    _check_fields(path, table, id_column)
    rows, repairs = [], table.repairs
    for line, values in zip(table.lines, table.rows, strict=True):
        tags = words(values["tags"])
        once = tuple(dict.fromkeys(tags))
        repairs["repeated tags removed"] += len(tags) - len(once)
        rows.append(Row(values[id_column], line, once, values.get("split", "")))
    _check_ids(path, rows)
    if wrong := [f"{r.split!r} (line {r.line})" for r in rows if r.split not in ("", *SPLITS)]:
        raise UserError(f"{path}: split {listing(wrong)}: must be train or val")
    return rows, +repairs


def check_tags(path: Path, rows: Sequence[Row], classes: Collection[str], *, fix: str) -> None:
    """Check that all tags are in a class list.

    Raises:
        UserError: a tag is not. The message names each unknown tag once, and ends with `fix`.
    """
    unknown: dict[str, int] = {}
    for row in rows:
        for tag in row.tags:
            if tag not in classes:
                unknown.setdefault(tag, row.line)
    if unknown:
        named = [
            f"{tag!r} (line {line}{'; ' * bool(hint)}{hint})"
            for tag, line in unknown.items()
            for hint in [nearest(tag, classes)]
        ]
        raise UserError(f"{path}: tag {listing(named)}: {fix}")


def _check_fields(path: Path, table: Table, id_column: str) -> None:
    """Check that there is a line, that no id is empty, and that no field holds a line end."""
    if not table.rows:
        raise UserError(f"{path}: has no line below the first; write a line for each image")
    rows = list(zip(table.lines, table.rows, strict=True))
    if empty := [line for line, values in rows if not values[id_column]]:
        raise UserError(f"{path}: {at_lines(empty)}: no {id_column}; write it, or remove the line")
    if broken := [line for line, values in rows if "\n" in values[id_column] + values["tags"]]:
        raise UserError(
            f"{path}: {at_lines(broken)}: a field goes on over a line end; close its quote"
        )


def _check_ids(path: Path, rows: Sequence[Row]) -> None:
    """Check that each id has one line."""
    lines: dict[str, list[int]] = {}
    for row in rows:
        lines.setdefault(row.id, []).append(row.line)
    if double := [f"{key!r} ({at_lines(at)})" for key, at in lines.items() if len(at) > 1]:
        raise UserError(f"{path}: duplicate id {listing(double)}; keep one line for each id")
