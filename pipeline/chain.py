"""The stages of dvc.yaml and sources/dvc.yaml by name: which are chosen, how each stands."""

import re
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from pipeline.blocks import ROUNDS
from pipeline.config import Params
from pipeline.errors import UserError
from pipeline.layout import Layout
from pipeline.params import read_yaml

SOURCES = "sources/dvc.yaml"
UP_TO_DATE = "up to date"


def _stages(path: str) -> dict[str, Any]:
    return read_yaml(Path(path))["stages"]


def address(target: str, chosen: Params) -> str:
    """DVC's name of a stage: those of sources/dvc.yaml carry their file.

    Raises:
        UserError: there is no such stage.
    """
    main, sources = _stages("dvc.yaml"), _stages(SOURCES)
    if target == "saliency":
        target = f"saliency_{chosen.saliency.source}"
    name = target.split("@")[0]  # one of a matrix, such as predict@full
    if name in main:
        return target
    if name in sources:
        return f"{SOURCES}:{target}"
    raise UserError(f"no stage '{target}'; there are {', '.join([*main, *sources, 'saliency'])}")


def chosen_stages(chosen: Params) -> list[str]:
    """The stages that bare `dvc repro` runs with these params, in the chain's order."""
    rows: list[str] = []
    for stage, body in _stages("dvc.yaml").items():
        if stage == "prepare" and chosen.data.root == Layout().shapes:
            rows.append(f"{SOURCES}:generate")
        if stage == "fuse":
            rows += _saliency(chosen)
        for supervision in chosen.segment.supervision if "matrix" in body else ("",):
            if stage == "train_segment":
                rows += _relabelled(supervision, chosen.saliency.source)
            rows.append(f"{stage}@{supervision}" if supervision else stage)
    return rows


def _saliency(chosen: Params) -> list[str]:
    trained = ["train_saliency"] if chosen.saliency.source == "net" else []
    return [f"{SOURCES}:{s}" for s in (*trained, f"saliency_{chosen.saliency.source}")]


def _relabelled(supervision: str, source: str) -> list[str]:
    """The stages that make the labels of `supervision`, beside the chain's."""
    stages = {"oracle": ["relabel_oracle"], "seed": ["relabel_seed"]}.get(supervision, [])
    if supervision == "oracle" and source != "oracle":
        stages = ["saliency_oracle", *stages]
    if supervision in ROUNDS:
        stages = [f"relabel@{supervision}"]
    return [f"{SOURCES}:{stage}" for stage in stages]


def states(changed: dict[str, Any], chosen: Params) -> list[tuple[str, str]]:
    """(stage, state) of the chosen chain, out of what `dvc status --json` prints.

    DVC names what changed by itself; what reads something that another stage is to make again
    follows it, and is spared only if that comes out the same.
    """
    rows, pending = list[tuple[str, str]](), dict[str, str]()  # file -> the stage to make it again
    files = {path: _stages(path) for path in ("dvc.yaml", SOURCES)}
    for stage in chosen_stages(chosen):
        path, _, name = stage.rpartition(":")
        deps, outs = _files(files[path or "dvc.yaml"], name, chosen)
        before = [by for out, by in pending.items() if any(_overlap(out, dep) for dep in deps)]
        state = _why(changed.get(stage))
        if state == UP_TO_DATE and before:
            state = f"runs after {before[-1]}"
        if state != UP_TO_DATE:
            pending |= dict.fromkeys(outs, name)
        rows.append((stage, state))
    return rows


def _files(stages: dict[str, Any], name: str, chosen: Params) -> tuple[list[str], list[str]]:
    """What a stage reads and what it makes, each `${...}` filled in."""
    values, (stage, _, one) = chosen.model_dump(mode="json"), name.partition("@")
    own = {"item.supervision": one, "key": one, "item": ROUNDS.get(one, "")}

    def fill(found: re.Match[str]) -> str:
        return str(own.get(found[1]) or reduce(getitem, found[1].split("."), values))

    body = stages[stage].get("do", stages[stage])
    made = [*body.get("outs", []), *body.get("metrics", [])]
    deps, outs = ([re.sub(r"\$\{([\w.]+)\}", fill, f) for f in fs] for fs in (body["deps"], made))
    return deps, outs


def _overlap(one: str, other: str) -> bool:
    """Whether two paths are the same, or one lies in the other."""
    return Path(one).is_relative_to(other) or Path(other).is_relative_to(one)


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
