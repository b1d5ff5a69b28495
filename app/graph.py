"""The chosen chain as DVC sees it: its stages in order, and the state of each stage."""

import re
from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError
from pipeline.core.params import read_yaml
from pipeline.params import Params

OPTIONAL = "optional/dvc.yaml"
LAST = "report"  # the last stage; everything chosen leads to it
UP_TO_DATE = "up to date"
Graph = Mapping[str, set[str]]  # stage -> the stages whose outputs it reads


def address(target: str, params: Params) -> str:
    """Return DVC's name of a stage. Names of stages in optional/dvc.yaml start with that file.

    Raises:
        UserError: there is no such stage, or a dvc.yaml is damaged.
    """
    main, optional = (_stages(Path(file)) for file in ("dvc.yaml", OPTIONAL))
    if target == "saliency":
        target = f"saliency_{params.saliency.source}"
    name = target.split("@")[0]  # of a matrix stage such as predict@full
    if name in main:
        return target
    if name in optional:
        return f"{OPTIONAL}:{target}"
    known = ", ".join([*main, *optional, "saliency"])
    raise UserError(f"no stage '{target}'; choose one of {known}")


def _stages(file: Path) -> dict[str, Any]:
    stages = read_yaml(file).get("stages")
    if not isinstance(stages, dict):
        raise UserError(f"{file}: has no section 'stages'; restore it by `git checkout {file}`")
    return stages


def parse(dot: str) -> Graph:
    """Read the graph that `dvc dag --dot` prints. Each stage comes after those that it reads."""
    nodes = re.findall(r'^"([^"]+)";$', dot, re.M)
    edges = re.findall(r'^"([^"]+)" -> "([^"]+)";$', dot, re.M)
    before = {node: {a for a, b in edges if b == node} for node in nodes}
    return {stage: before[stage] for stage in TopologicalSorter(before).static_order()}


def states(changed: Mapping[str, Any], graph: Graph) -> list[tuple[str, str]]:
    """List (stage, state) of the chosen chain.

    DVC reports only the stages that themselves changed. A stage that reads their outputs runs
    after them. DVC skips it if these outputs come out the same.

    Args:
        changed: the output of `dvc status --json`.
        graph: the chosen chain, in order.
    """
    rows = dict[str, str]()
    for stage, before in graph.items():
        state = _reason(changed.get(stage))
        pending = [s for s in rows if s in before and rows[s] != UP_TO_DATE]
        if state == UP_TO_DATE and pending:
            state = f"runs after {pending[-1].rpartition(':')[2]}"
        rows[stage] = state
    return list(rows.items())


def _reason(changes: list[Any] | None) -> str:
    """Shorten DVC's reasons to one short text. Without outputs, the reasons do not matter."""
    if not changes:
        return UP_TO_DATE
    reasons = []
    for change in changes:
        if isinstance(change, str):
            reasons.append(change)
            continue
        for kind, files in change.items():
            outs = kind == "changed outs"
            if outs and any(state in ("deleted", "not in cache") for state in files.values()):
                return "not run yet"
            reasons += [
                f"{name}: {state}" if isinstance(state, str) else f"{name}: changed"
                for name, state in files.items()
                if not outs or state
            ]
    return "must run: " + ", ".join(reasons[:2]) + (", ..." if len(reasons) > 2 else "")
