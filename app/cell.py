"""`python -m app.cell ROW SEED STAGE...`: run the chain with the params of one row of a table."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app import cells, watched_dvc
from app import locks as dvc_locks
from pipeline.core import faults, formats, locks, runtime
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.params import read_yaml, validate
from pipeline.params import Params


def run(layout: Layout, row: str, seed: int, targets: Sequence[str]) -> None:
    """Run `dvc repro TARGETS` in a copy of the project, write its scores and remove the copy.

    Raises:
        UserError: the row is unknown or invalid, or a stage failed.
    """
    home, cell = Path.cwd(), layout.cell(row, seed)
    ablation = read_yaml(layout.ablation)
    params = cells.row_params(read_yaml(layout.params), ablation, row, seed)
    validate(Params, params, where=f"row '{row}'")
    work = cells.copy_folder(cell, params)
    work.mkdir(parents=True, exist_ok=True)
    cells.prepare(work, home, params, generated=(layout.shapes, layout.shapes_boxed))
    _dvc(work, targets)
    record: dict[str, Any] = {
        "scores": cells.read_scores(work),
        "curve": cells.read_curve(work),
        "row": row,
        "random_seed": seed,
        "params": cells.params_key(params),
        "code": cells.code_key(home),
        "data": formats.digest(work / layout.samples, work / layout.truth)[:12],
    }
    formats.write_json(layout.cell_scores(row, seed), record)
    if (counts := cells.read_counts(work)) is not None:
        formats.write_arrays(layout.cell_counts(row, seed), counts)
    shutil.rmtree(cell)


def _dvc(work: Path, targets: Sequence[str]) -> None:
    for line in dvc_locks.restore(Layout(work)):
        print(line)
    command = [sys.executable, "-m", "dvc", "repro", *targets]
    env = {k: v for k, v in os.environ.items() if not k.startswith("DVC_")}
    if subprocess.run(command, cwd=work, check=False, env=env).returncode:
        raise UserError(f"the chain stopped in {work}; fix what the error above names and rerun")


def main() -> None:
    """Run the cell that the command line names."""
    row, seed, *targets = sys.argv[1:]
    runtime.watch_parent(at_end=watched_dvc.kill_children)
    try:
        locks.keep(Layout())
        run(Layout(), row, int(seed), targets)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as e:
        if not (line := str(e) if isinstance(e, UserError) else faults.explain(e)):
            raise
        sys.exit(f"error: {row}: {line}")


if __name__ == "__main__":
    main()
