"""Compare two runs: what made them, and their scores with paired intervals."""

import io
import math
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from app import paired
from app.console import make_table
from pipeline.core import formats, provenance
from pipeline.core.errors import UserError
from pipeline.core.layout import SCORED, SCORED_BY_NAME, Layout
from pipeline.core.params import differences
from pipeline.report import links
from pipeline.scores.shared import metrics

# what the record of a score file names -> the keys of that record
KINDS = {
    "data": ("data",),
    "params": ("params", "random_seed"),
    "code": ("code",),
    "commit": ("commit", "uncommitted"),
    "versions": ("versions", "run_on"),
}
WIDTH = 200  # in characters; no row is as long
TEXTS, NUMBERS = ("link", "score", "split"), ("A", "B", "B - A", "95 %")
NO_COUNTS, OTHER_IMAGES, OTHER_MASKS = "no counts", "other images", "other masks"
WHY_NOT = {
    NO_COUNTS: "it is not computed from pixel counts of each image",
    OTHER_IMAGES: "the two runs scored different images",
    OTHER_MASKS: "the images have the same names but different masks",
}


@dataclass(frozen=True)
class Run:
    """The scores of a run, the counts of each image behind them, and what made each group."""

    name: str
    scores: dict[str, Any]
    counts: dict[str, Any]
    made_of: dict[str, dict[str, Any]]  # by group; a group without a record is empty


@dataclass(frozen=True)
class Row:
    """One score of both runs, in percent, and the interval of the difference or why it has none."""

    name: str
    score: str
    split: str
    one: float
    other: float
    interval: tuple[float, float] | None
    why_not: str

    def texts(self) -> list[str]:
        """Return the cells of the row: TEXTS, then NUMBERS."""
        numbers = [f"{self.one:.1f}", f"{self.other:.1f}", f"{self.other - self.one:+.1f}"]
        ends = " to ".join(f"{end:+.1f}" for end in self.interval or ())
        return [self.name, self.score, self.split, *numbers, ends or self.why_not]


def describe(layout: Layout, *names: str) -> list[str]:
    """Return the lines that the terminal shows of two runs.

    Raises:
        UserError: the run does not exist or has no scores.
    """
    one, other = (read(layout, name) for name in names)
    lines, table = list[str](), make_table(*TEXTS, numbers=NUMBERS)
    for kind, changes in facts(one, other).items():
        lines += [f"{kind}:" if changes else f"{kind}: the same", *(f"  {c}" for c in changes)]
    compared = rows(one, other)
    if not compared:
        return [*lines, "", "no score that both runs have"]
    for row in compared:
        table.add_row(*row.texts())
    reasons = dict.fromkeys(row.why_not for row in compared if row.why_not)
    return [
        *lines,
        "",
        *_lines(table),
        "",
        "95 %: paired bootstrap interval of B - A over the images of the split",
        *(f"{reason}: {WHY_NOT[reason]}" for reason in reasons),
    ]


def _lines(table: Table) -> list[str]:
    """Write a table at its whole width, whatever the width of the terminal."""
    console = Console(file=io.StringIO(), width=WIDTH, markup=False, force_terminal=False)
    with console.capture() as text:
        console.print(table)
    return [line.rstrip() for line in text.get().splitlines()]


def read(layout: Layout, name: str) -> Run:
    """Read a run.

    Args:
        layout: the project's paths.
        name: a project's folder, a copy of its data/scores, or a git revision or DVC experiment.

    Raises:
        UserError: the run does not exist or has no scores, or one of its files is damaged.
    """
    folder = Path(name)
    if os.path.isdir(folder):  # Path.is_dir fails on a name that is too long
        inside = Layout(folder).made_of.parent
        return _read_folder(layout, name, inside if inside.is_dir() else folder)
    with TemporaryDirectory() as scratch:
        return _read_folder(layout, name, _fetch_revision(layout, name, Path(scratch) / "scores"))


def _read_folder(layout: Layout, name: str, folder: Path) -> Run:
    files = sorted(folder.glob("*.json"))
    _check_scores(files)
    scores = links.read_scores(files)
    if "about" not in scores:
        raise UserError(f"{name}: holds no scores; name a folder that holds data/scores")
    counts: dict[str, Any] = {}
    for file in sorted(folder.glob("*/counts.npz")):
        counts |= formats.read_arrays(file)
    made_of = dict[str, dict[str, Any]]()
    for file in files:
        records = [provenance.record_file(f, file) for f in (folder / "made_of", layout.made_of)]
        made_of[file.stem] = next((formats.read_json(r) for r in records if r.exists()), {})
    return Run(name, scores, counts, made_of)


def _check_scores(files: Sequence[Path]) -> None:
    """Check the form of score files, which somebody may have edited.

    Raises:
        UserError: a file is not a score file, or a score is not a finite number.
    """
    for file in files:
        try:
            lines = links.lines(formats.read_json(file))
            numbers = [v for line in lines for v in (line.train, line.val) if v is not None]
            fits = all(map(math.isfinite, numbers))
        except (AttributeError, TypeError):
            fits = False
        if not fits:
            raise UserError(f"{file}: is not a score file; delete it and run the chain again")


def _fetch_revision(layout: Layout, name: str, target: Path) -> Path:
    """Copy the scores of a git revision out of DVC's cache.

    Raises:
        UserError: the revision does not exist, or DVC has no scores for it.
    """
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from dvc.scm import SCMError
    from dvc_data.index import DataIndexError

    try:
        files = DVCFileSystem(str(layout.root.resolve()), rev=name)
        files.ls("", detail=False)  # this opens the revision
    except SCMError as e:
        raise UserError(f"{name}: neither a folder nor a git revision; correct the name") from e
    target.mkdir()
    for group in (*SCORED, *SCORED_BY_NAME):
        with suppress(DvcException, DataIndexError, FileNotFoundError):  # not in the cache
            for path in (layout.score_tables(group), layout.scores(group)):
                files.get(path.as_posix(), str(target / path.name), recursive=True)
    if not any(target.glob("*.json")):
        raise UserError(
            f"{name}: DVC has no scores of this revision; check it out and run `dvc repro`"
        )
    return target


def facts(one: Run, other: Run) -> dict[str, list[str]]:
    """List in what the two runs differ: lines by kind, empty where all is the same."""
    lines = dict[str, list[str]]({kind: [] for kind in KINDS})
    for group in sorted(one.made_of.keys() & other.made_of.keys()):
        records = one.made_of[group], other.made_of[group]
        if not all(records):
            for kind in KINDS:
                lines[kind].append(f"unknown for scores of {group}: no record in made_of")
            continue
        for kind, keys in KINDS.items():
            for key in keys:
                changes = differences(records[0].get(key), records[1].get(key))
                lines[kind] += [_line(key, *change) for change in changes]
    return {kind: list(dict.fromkeys(texts)) for kind, texts in lines.items()}


def _line(key: str, name: str, old: Any, new: Any) -> str:
    return f"{name or key.replace('_', ' ')}: {old} -> {new}"


def rows(one: Run, other: Run) -> list[Row]:
    """Compare every score that both runs have: on val, or on train if one has none on val."""
    lines = [
        {(line.link, line.score): line for line in links.lines(r.scores)} for r in (one, other)
    ]
    return [
        _row(one, other, split, (first, second))
        for key, first in lines[0].items()
        if (second := lines[1].get(key)) and (split := _shared_split(first, second))
    ]


def _shared_split(one: links.Line, other: links.Line) -> str:
    for split in ("val", "train"):
        if None not in (getattr(one, split), getattr(other, split)):
            return split
    return ""


def _row(one: Run, other: Run, split: str, lines: tuple[links.Line, links.Line]) -> Row:
    line, values = lines[0], [getattr(line, split) for line in lines]
    path = f"{line.link}.{split}.{line.score}"
    why_not = _why_not(one, other, path)
    interval = None if why_not else _interval(one, other, path)
    return Row(line.name, line.score, split, values[0], values[1], interval, why_not)


def _why_not(one: Run, other: Run, path: str) -> str:
    """Say why the difference of two scores has no paired interval; empty if it has one."""
    if not all({path, f"{path}.ids"} <= run.counts.keys() for run in (one, other)):
        return NO_COUNTS
    if not np.array_equal(one.counts[f"{path}.ids"], other.counts[f"{path}.ids"]):
        return OTHER_IMAGES
    truths = [run.counts[path].sum(axis=2) for run in (one, other)]  # pixels of each class
    return "" if np.array_equal(*truths) else OTHER_MASKS


def _interval(one: Run, other: Run, path: str) -> tuple[float, float] | None:
    """Return the paired interval of `other` minus `one`, in percent."""
    runs = {"one": one, "other": other}

    def read_counts(row: str, _: int, path: str) -> dict[str, Any]:
        return {name: runs[row].counts[name] for name in (path, f"{path}.ids")}

    cells = {row: [{"random_seed": 0, "data": ""}] for row in runs}
    pair = paired.compare(cells, read_counts, path, rows=("one", "other"))
    return metrics.percentiles(100 * (pair.other_R - pair.one_R)) if pair else None
