"""One cell of a table: a copy of the project in which the chain runs with other params.

The copy shares the project's cache: what the chain, or another cell, has made from the same inputs
comes out of it and is not made again.
"""

import copy
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from app import figures, tables
from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint, lay_over
from pipeline.scores.seed import seed_scores

CODE = ("pipeline", "stages", "optional/dvc.yaml", "dvc.yaml", "data/lists")
CONFIG = """[core]
    analytics = false
    check_update = false
    no_scm = true
[cache]
    dir = {cache}
    type = "hardlink,copy"
"""


def row_params(base: dict[str, Any], ablation: dict[str, Any], row: str, seed: int) -> Any:
    """params.yaml of a cell: the project's, `over` for all cells, the row's own, the seed.

    Raises:
        UserError: the row is not defined.
    """
    if row not in ablation["rows"]:
        raise UserError(f"ablation/params.yaml: rows: no row '{row}'")
    for changes in (ablation["over"], ablation["rows"][row] or {}, {"random_seed": seed}):
        lay_over(base, changes)
    return base


def params_name(values: dict[str, Any]) -> str:
    """A short name of a cell's params: cells of the same name can be compared."""
    return fingerprint(json.dumps(values, sort_keys=True))


def code(home: Path) -> str:
    """A short name of the code: cells of other code are not shown beside each other."""
    return formats.digest(
        *sorted(home.glob("pipeline/**/*.py")), *sorted(home.glob("stages/**/*.py"))
    )


def folder_in(cell: Path, values: dict[str, Any]) -> Path:
    """Where in the cell's folder the copy lies: so deep that ../ in a param stays in the cell."""
    up = [Path(text).parts.count("..") for text in _texts(values)]
    return cell.joinpath(*["project"] * (1 + max(up, default=0)))


def prepare(work: Path, home: Path, values: dict[str, Any], *, made: tuple[Path, ...]) -> None:
    """Lay out the project `home` in `work` with the params `values`.

    Args:
        work: the cell's folder; one that a killed run left is used again, with what it holds.
        home: the project.
        values: the whole of params.yaml.
        made: files that the chain itself makes, which the cell is not given.
    """
    for name in CODE:
        _copy(home / name, work / name)
    paths = {Path(text) for text in _texts(values) if text and (home / text).exists()}
    for path in sorted(paths):  # a folder before what is in it
        if not any(path.is_relative_to(own) for own in made):
            _link(path, home, work)
    with (work / "params.yaml").open("w", encoding="utf-8") as f:
        YAML().dump(values, f)
    (work / ".dvc/tmp").mkdir(parents=True, exist_ok=True)
    (work / ".dvcignore").write_text((home / ".dvcignore").read_text())
    (work / ".dvc/config").write_text(CONFIG.format(cache=(home / ".dvc/cache").resolve()))


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=skip)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def _texts(values: Any) -> Iterator[str]:
    """Every text in nested params: the paths are among them."""
    if isinstance(values, dict):
        for value in values.values():
            yield from _texts(value)
    elif isinstance(values, str):
        yield values


def _link(path: Path, home: Path, work: Path) -> None:
    """Make the relative `path` name in `work` what it names in `home`, by a symbolic link.

    Its parents are folders of the cell's own: what the chain makes in them stays in the cell.
    """
    here = Path(os.path.normpath(work / path))
    if not path.is_absolute() and not here.exists():
        here.parent.mkdir(parents=True, exist_ok=True)
        here.symlink_to((home / path).resolve())


def gather(work: Path) -> dict[str, Any]:
    """The scores of every group that the cell's chain reached, with each class's IoU."""
    found: dict[str, Any] = {}
    for path in sorted((work / "data/scores").glob("*.json")):
        lay_over(found, formats.read_json(path))
    for path in sorted((work / "data/scores").glob("*/iou.tsv")):
        for row in formats.read_table(path, columns=("link", "split", "class", "iou"), sep="\t"):
            each = found[row["link"]][row["split"]].setdefault("IoU", {})
            if row["iou"] != "nan":
                each[row["class"]] = float(row["iou"])
    return found


def curve(work: Path) -> list[list[str]]:
    """The points of the class maps' curve, `scores.CURVE`; none where seeds were not scored."""
    path = work / "data/scores/seed/curve.tsv"
    rows = formats.read_table(path, columns=seed_scores.CURVE, sep="\t") if path.exists() else []
    return [[row[c] for c in seed_scores.CURVE] for row in rows]


def _cell(
    layout: Layout, base: dict[str, Any], ablation: dict[str, Any], row: str, seed: int
) -> dict[str, Any] | None:
    """A cell's record; None if it did not run, or ran with other params or code."""
    if not (path := layout.cell_scores(row, seed)).exists():
        return None
    found: dict[str, Any] = formats.read_json(path)
    values = row_params(copy.deepcopy(base), ablation, row, seed)
    fits = found["params"] == params_name(values) and found["code"] == code(layout.root)
    return found if fits else None


def write_table(
    layout: Layout, table: tables.Table, base: dict[str, Any], ablation: dict[str, Any]
) -> str:
    """Write a table in every form out of the cells of today's params and code; its Markdown."""
    seeds = ablation["random_seeds"]
    records = {
        row: [c for seed in seeds if (c := _cell(layout, base, ablation, row, seed))]
        for row in table.rows
    }
    table = tables.expand(table, records)
    lines, about = tables.grid(table, records), tables.identity(records)
    for suffix, write in tables.WRITERS.items():
        path = layout.table(table.name, suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(write(table, lines, about), encoding="utf-8")
    formats.write_json(layout.table(table.name, "json"), {"params": base, "cells": records})
    _write_curves(layout.table(table.name, "curves.tsv"), records)
    figures.write_curves(layout.table(table.name, "curves.png"), table, records)
    return tables.markdown(table, lines, about)


def _write_curves(path: Path, records: tables.Records) -> None:
    """The class maps' curve of every cell; no file where no cell scored its seeds."""
    curves = [
        (row, cell["random_seed"], *point)
        for row, found in records.items()
        for cell in found
        for point in cell["curve"]
    ]
    path.unlink(missing_ok=True)
    if curves:
        columns = ("row", "random_seed", *seed_scores.CURVE)
        formats.write_table(path, curves, columns=columns, sep="\t")
