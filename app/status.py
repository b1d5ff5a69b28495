"""What `status` shows of each stage of the chosen chain."""

import json
from dataclasses import dataclass

from app import dvc_process, graph
from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.params import load_params


@dataclass(frozen=True)
class Stage:
    """A stage, and what its last run took, if it ran.

    Attributes:
        name: Its name in DVC.
        state: Its state.
        seconds: The time of all calls that did its work; several, if some were killed.
        last_call_seconds: The time of the last call.
        peak_mib: The peak memory of the last call.
    """

    name: str
    state: str
    seconds: float | None
    last_call_seconds: float | None
    peak_mib: int | None


def read(layout: Layout) -> list[Stage]:
    """Ask DVC for the state of each stage, and read time and memory from the logs.

    Raises:
        UserError: a param is wrong, or DVC cannot answer.
    """
    load_params(layout.params)  # names a wrong param; DVC's own message would not
    dag = dvc_process.ask("dag", "--dot", graph.LAST)
    changed = json.loads(dvc_process.ask("status", "--json", "dvc.yaml", graph.OPTIONAL))
    return [
        Stage(name, state, *_log(layout, name))
        for name, state in graph.states(changed, graph.parse(dag))
    ]


def _log(layout: Layout, name: str) -> tuple[float | None, float | None, int | None]:
    """Seconds of all calls and of the last one, and peak memory in MiB, of a stage's last run.

    Raises:
        UserError: somebody changed the log.
    """
    path = layout.log / f"{name.rpartition(':')[2].replace('@', '_')}.json"
    log = formats.read_json(path) if path.exists() else {}
    if not isinstance(log, dict):
        raise UserError(f"{path}: is not the log of a stage; delete it")
    last = log.get("seconds")
    total = None if last is None else round(last + log.get("earlier_seconds", 0), 1)
    return total, last, log.get("peak_mib")
