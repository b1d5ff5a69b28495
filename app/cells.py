"""A cell of a table: a copy of the project in which the chain runs with the params of a row.

The copy shares the project's cache. So DVC takes from the cache what the chain or another cell
has already made from the same inputs.
"""

import copy
import functools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from ruamel.yaml import YAML

from app import figures, grid, paired, tables
from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint, lay_over
from pipeline.scores.seed import seed_scores

CODE = ("pipeline", "stages", "optional/dvc.yaml", "dvc.yaml", "data/lists", "data/pretext/none")
CONFIG = """[core]
    analytics = false
    check_update = false
    no_scm = true
[cache]
    dir = {cache}
    type = "hardlink,copy"
"""


def row_params(base: dict[str, Any], ablation: dict[str, Any], row: str, seed: int) -> Any:
    """Lay over `base` first `over`, which all rows share, then the row's params and the seed.

    Raises:
        UserError: the row is not defined.
    """
    if row not in ablation["rows"]:
        raise UserError(f"ablation/params.yaml: no row '{row}' in section rows; add it there")
    for changes in (ablation["over"], ablation["rows"][row] or {}, {"random_seed": seed}):
        lay_over(base, changes)
    return base


def params_key(params: dict[str, Any]) -> str:
    """Return a fingerprint of a cell's params. A table shows only cells of today's params."""
    return fingerprint(json.dumps(params, sort_keys=True))


def code_key(home: Path) -> str:
    """Return a fingerprint of the code. A table shows only cells of today's code."""
    return formats.digest(
        *sorted(home.glob("pipeline/**/*.py")), *sorted(home.glob("stages/**/*.py"))
    )


def copy_folder(cell: Path, params: dict[str, Any]) -> Path:
    """Return where the copy goes: deep enough that `../` in a param stays in the cell's folder."""
    up = [Path(text).parts.count("..") for text in _texts(params)]
    return cell.joinpath(*["project"] * (1 + max(up, default=0)))


def prepare(work: Path, home: Path, params: dict[str, Any], *, generated: tuple[Path, ...]) -> None:
    """Copy the project `home` to `work`, with other params.

    Args:
        work: the folder of the copy. What a killed run left there is used again.
        home: the project.
        params: all of params.yaml.
        generated: paths that the chain itself makes. The copy gets no link to them.
    """
    for name in CODE:
        _copy(home / name, work / name)
    paths = {Path(text) for text in _texts(params) if text and (home / text).exists()}
    for path in sorted(paths):  # so a folder comes before its content
        if not any(path.is_relative_to(folder) for folder in generated):
            _link(path, home, work)
    formats.replace_file(work / "params.yaml", lambda f: YAML().dump(params, f))
    (work / ".dvc/tmp").mkdir(parents=True, exist_ok=True)
    shutil.copy2(home / ".dvcignore", work / ".dvcignore")
    config = CONFIG.format(cache=(home / ".dvc/cache").resolve())
    formats.replace_file(work / ".dvc/config", lambda f: f.write(config.encode()))


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=skip)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def _texts(params: Any) -> Iterator[str]:
    """Yield every text in nested params. All paths are among them."""
    if isinstance(params, dict):
        for value in params.values():
            yield from _texts(value)
    elif isinstance(params, str):
        yield params


def _link(path: Path, home: Path, work: Path) -> None:
    """Link the relative `path` in `work` to the same path in `home`.

    Its parent folders are real folders in the cell, so what the chain makes in them stays there.
    """
    link = Path(os.path.normpath(work / path))
    if not path.is_absolute() and not link.exists():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to((home / path).resolve())


def read_scores(work: Path) -> dict[str, Any]:
    """Read all scores that the cell's chain computed, with the IoU of each class."""
    scores: dict[str, Any] = {}
    for path in sorted((work / "data/scores").glob("*.json")):
        lay_over(scores, formats.read_json(path))
    for path in sorted((work / "data/scores").glob("*/iou.tsv")):
        for row in formats.read_table(path, columns=("link", "split", "class", "iou"), sep="\t"):
            class_ious = scores[row["link"]][row["split"]].setdefault("IoU", {})
            if row["iou"] != "nan":
                class_ious[row["class"]] = float(row["iou"])
    return scores


def read_counts(work: Path) -> dict[str, Any] | None:
    """Read the pixel counts of each image; None if the cell's chain scored no label images."""
    paths = sorted((work / "data/scores").glob("*/counts.npz"))
    groups = [formats.read_arrays(path) for path in paths]
    return {name: array for arrays in groups for name, array in arrays.items()} if paths else None


def read_curve(work: Path) -> list[list[str]]:
    """Read the curve of the class maps, one row a threshold; empty if seeds were not scored.

    The columns are `seed_scores.CURVE`.
    """
    path = work / "data/scores/seed/curve.tsv"
    rows = formats.read_table(path, columns=seed_scores.CURVE, sep="\t") if path.exists() else []
    return [[row[c] for c in seed_scores.CURVE] for row in rows]


def _read_cell(
    layout: Layout, base: dict[str, Any], ablation: dict[str, Any], row: str, seed: int
) -> dict[str, Any] | None:
    """Read a cell's record. Return None if it did not run, or ran with other params or code."""
    if not (path := layout.cell_scores(row, seed)).exists():
        return None
    record: dict[str, Any] = formats.read_json(path)
    params = row_params(copy.deepcopy(base), ablation, row, seed)
    fits = record["params"] == params_key(params) and record["code"] == code_key(layout.root)
    return record if fits else None


def write_table(
    layout: Layout, table: tables.Table, base: dict[str, Any], ablation: dict[str, Any]
) -> str:
    """Write a table in every format, from the cells of today's params and code.

    Returns:
        The table as Markdown.
    """
    seeds = ablation["random_seeds"]
    records = {
        row: [r for seed in seeds if (r := _read_cell(layout, base, ablation, row, seed))]
        for row in table.rows
    }
    table = tables.expand(table, records)
    read = functools.partial(_counts_of, layout)
    lines = grid.lines(
        table,
        records,
        same_data=grid.on_voc2012(base),
        differences=paired.differences(table, records, read),
        shares=paired.shares(table, records, read),
    )
    identity = tables.identity(records)
    for suffix, write in tables.WRITERS.items():
        text = write(table, lines, identity).encode()
        formats.replace_file(layout.table(table.name, suffix), _writer(text))
    formats.write_json(layout.table(table.name, "json"), {"params": base, "cells": records})
    _write_curves(layout.table(table.name, "curves.tsv"), records)
    figures.write_curves(layout.table(table.name, "curves.png"), table, records)
    return tables.markdown(table, lines, identity)


def _writer(content: bytes) -> Callable[[IO[bytes]], object]:
    return lambda file: file.write(content)


def _counts_of(layout: Layout, row: str, seed: int, path: str) -> dict[str, Any]:
    """Read the counts behind the score at `path`, and their ids; a full table would fill memory."""
    file = layout.cell_counts(row, seed)
    return formats.read_arrays(file, match=f"{path}*") if file.exists() else {}


def _write_curves(path: Path, records: tables.Records) -> None:
    """Write the class maps' curve of every cell; no file if no cell scored its seeds."""
    curves = [
        (row, record["random_seed"], *point)
        for row, row_records in records.items()
        for record in row_records
        for point in record["curve"]
    ]
    path.unlink(missing_ok=True)
    if curves:
        columns = ("row", "random_seed", *seed_scores.CURVE)
        formats.write_table(path, curves, columns=columns, sep="\t")
