"""The chosen chain as DVC sees it: its stages in order, and how each of them stands."""

import re
from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError
from pipeline.core.params import read_yaml
from pipeline.params import Params

OPTIONAL = "optional/dvc.yaml"
LAST = "report"  # the stage that everything chosen leads to
UP_TO_DATE = "up to date"
Graph = Mapping[str, set[str]]  # stage -> the stages whose outputs it reads


def address(target: str, chosen: Params) -> str:
    """DVC's name of a stage: those of optional/dvc.yaml carry their file.

    Raises:
        UserError: there is no such stage.
    """
    main, optional = (read_yaml(Path(file))["stages"] for file in ("dvc.yaml", OPTIONAL))
    if target == "saliency":
        target = f"saliency_{chosen.saliency.source}"
    name = target.split("@")[0]  # one of a matrix, such as predict@full
    if name in main:
        return target
    if name in optional:
        return f"{OPTIONAL}:{target}"
    known = ", ".join([*main, *optional, "saliency"])
    raise UserError(f"no stage '{target}'; choose one of {known}")


def parse(dot: str) -> Graph:
    """The graph that `dvc dag --dot` prints, in the order in which the stages can run."""
    nodes = re.findall(r'^"([^"]+)";$', dot, re.M)
    edges = re.findall(r'^"([^"]+)" -> "([^"]+)";$', dot, re.M)
    before = {node: {a for a, b in edges if b == node} for node in nodes}
    return {stage: before[stage] for stage in TopologicalSorter(before).static_order()}


def states(changed: Mapping[str, Any], graph: Graph) -> list[tuple[str, str]]:
    """(stage, state) of the chosen chain.

    DVC names the stages that changed by themselves. A stage that reads the outputs of one that
    must run follows it; it is skipped in the end if these come out the same.

    Args:
        changed: what `dvc status --json` prints.
        graph: the chosen chain, in order.
    """
    rows = dict[str, str]()
    for stage, before in graph.items():
        state = _why(changed.get(stage))
        pending = [s for s in rows if s in before and rows[s] != UP_TO_DATE]
        if state == UP_TO_DATE and pending:
            state = f"runs after {pending[-1].rpartition(':')[2]}"
        rows[stage] = state
    return list(rows.items())


def _why(changes: list[Any] | None) -> str:
    """DVC's reasons as one short text."""
    if not changes:
        return UP_TO_DATE
    reasons = []
    for change in changes:
        if isinstance(change, str):
            reasons.append(change)
            continue
        for kind, files in change.items():
            reasons += [
                f"{name}: {how}" if isinstance(how, str) else f"{name}: changed"
                for name, how in files.items()
                if kind != "changed outs" or how
            ]
    if all("deleted" in r or "new" in r for r in reasons):
        return "not run yet"
    return "must run: " + ", ".join(reasons[:2]) + (", ..." if len(reasons) > 2 else "")
