"""Read the stages of dvc.yaml and optional/dvc.yaml, for the contract tests."""

import importlib
import json
import re
from fnmatch import fnmatch

from pipeline.core.params import read_yaml
from stages import _run
from tests.contracts.imports import ROOT

PARAMS = read_yaml(ROOT / "presets/shapes.yaml")
FILES = {name: ROOT / name for name in ("dvc.yaml", "optional/dvc.yaml")}


def _expand(name, body):
    """Return the stage, or one stage for each entry of its foreach, by the names that dvc uses."""
    if "foreach" not in body:
        return {name: body}
    entries = body["foreach"]
    pairs = entries.items() if isinstance(entries, dict) else zip(entries, entries, strict=True)
    return {f"{name}@{key}": _one(body["do"], key, item) for key, item in pairs}


def _one(body, key, item):
    """The stage of one entry: ${key}, ${item} and the fields of an item are filled in."""
    fields = {f"item.{k}": v for k, v in item.items()} if isinstance(item, dict) else {"item": item}
    text = json.dumps(body)
    for mark, filling in {"key": key, **fields}.items():
        text = text.replace(f"${{{mark}}}", filling)
    return json.loads(text)


STAGES = {
    one: spec
    for path in FILES.values()
    for name, body in read_yaml(path)["stages"].items()
    for one, spec in _expand(name, body).items()
}


def value(name, params=PARAMS):
    """Return the param at a dotted name."""
    for key in re.findall(r"[^.\[\]]+", name):
        params = params[int(key) if key.isdecimal() else key]
    return params


def filled(text, supervision="guide"):
    """Replace each ${...} in a text of dvc.yaml."""
    text = text.replace("${item.supervision}", supervision)
    return re.sub(r"\$\{([\w.\[\]]+)\}", lambda m: str(value(m.group(1))), text)


def entries(name, kind, supervision="guide"):
    """Return the deps, outs, metrics or params that a stage declares."""
    return {filled(e, supervision) for e in STAGES[name].get(kind, [])}


def command(name):
    """Read (module, variant) from a stage's command."""
    pattern = r"python -m stages (\w+)(?: (\w+))?"
    module, variant = re.fullmatch(pattern, filled(STAGES[name]["cmd"])).groups()
    return module, [variant] if variant else []


def slices(name):
    """Return the slices of params.yaml that a stage takes."""
    module, variant = command(name)
    return dict(_run.slices_of(importlib.import_module(f"stages.{module}"), *variant))


def depends_on_file(name, path):
    """Whether dvc reruns a stage after an edit of a file."""
    return any(path == dep or path.startswith(f"{dep}/") for dep in entries(name, "deps"))


def depends_on_param(name, param):
    """Whether dvc reruns a stage after a change of a param."""
    return any(
        fnmatch(param, f"{declared}.*") or param == declared or declared.startswith(f"{param}.")
        for declared in entries(name, "params")
    )
