"""One cell of a table: the chain with a row's params, up to the scores the table needs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from pipeline import cells, config, formats, params
from pipeline.errors import UserError
from pipeline.layout import Layout
from stages import _run

DEPTH = "project/project/project/project"  # so that ../../../data stays inside the cell's folder


def run(layout: Layout) -> None:
    """Run `dvc repro TARGETS` in a copy of the project; write its scores."""
    row, seed, targets = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    home, cell = Path.cwd(), layout.cell(row, seed)
    ablation = params.read_yaml(layout.ablation)
    values = cells.row_params(params.read_yaml(layout.params), ablation, row, seed)
    params.validate(config.Params, values, where=f"row '{row}'")
    work = cell / DEPTH
    work.mkdir(parents=True, exist_ok=True)
    cells.prepare(work, home, values, made=(layout.shapes, layout.shapes_boxed))
    _dvc(work, targets)
    record: dict[str, Any] = {
        "scores": cells.gather(work),
        "curve": cells.curve(work),
        "row": row,
        "random_seed": seed,
        "params": cells.fingerprint(values),
        "code": cells.code(home),
        "data": formats.digest(work / layout.samples, work / layout.truth)[:12],
    }
    formats.write_json(layout.cell_scores(row, seed), record)
    shutil.rmtree(cell)


def _dvc(work: Path, targets: list[str]) -> None:
    command = [sys.executable, "-m", "dvc", "repro", *targets]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("DVC_")}
    if subprocess.run(command, cwd=work, check=False, env=clean).returncode:
        raise UserError(f"the chain stopped in {work}; mend what the error above names, run again")


if __name__ == "__main__":
    _run.main(run)
