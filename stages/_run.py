"""Run the stage that the command line names: load its params, call it, log its time and memory."""

import importlib
import os
import re
import resource
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from functools import reduce
from operator import getitem
from pathlib import Path
from types import ModuleType
from typing import Any

import stages
from pipeline.core import faults, formats, locks, provenance, ranks, runtime
from pipeline.core.errors import COMMAND, MissingFileError, UserError, printable
from pipeline.core.layout import Layout
from pipeline.core.params import read_yaml, section

Slice = tuple[str, Any]  # dotted name in params.yaml, its model
Slices = Mapping[str, Slice]  # by the keyword that a stage's `run` takes
FINISHED = "finished"  # marks a folder of .resume
MAXRSS_PER_KIB = 1024 if sys.platform == "darwin" else 1  # macOS counts ru_maxrss in bytes


def main() -> None:
    """Run the stage that the command line names. Bad input gives one line and exit code 1."""
    layout, start, name = Layout(), time.monotonic(), run_name()
    if under_dvc() and not ranks.inside():
        runtime.watch_parent()
    try:
        if ranks.first():
            locks.keep(layout)
            _remove_finished_work(layout)
        _run_stage(layout)
        if ranks.first():
            _finish_work(layout)
            _log(layout, time.monotonic() - start)
    except UserError as e:
        _print_error(e)
        sys.exit(1)
    except Exception as e:
        if ranks.lost(e):
            sys.exit(f"error: {name}, rank {ranks.rank()}: another rank is gone")
        if not (line := faults.explain(e)):
            raise
        _print_error(UserError(line))
        sys.exit(1)


def under_dvc() -> bool:
    """Whether DVC started this stage. DVC then stores the outputs after it."""
    return "DVC_STAGE" in os.environ


def _finish_work(layout: Layout) -> None:
    """Remove the stage's folder in .resume. Under DVC, mark it to be removed by the next stage.

    DVC still has to store the outputs. If it is killed or the disk is full, it deletes them and
    runs the stage again, which then finds all its work there.
    """
    for folder in layout.resume.glob(f"{run_name()}-*"):
        if under_dvc():
            (folder / FINISHED).touch()
        else:
            shutil.rmtree(folder)


def _remove_finished_work(layout: Layout) -> None:
    """Remove the work of other stages that are finished: DVC has stored their outputs."""
    for mark in layout.resume.glob(f"*-*/{FINISHED}"):
        if not mark.parent.name.startswith(f"{run_name()}-"):
            shutil.rmtree(mark.parent)


def _run_stage(layout: Layout) -> None:
    stage, *variant = _words() or [""]
    module = _module(stage)
    if getattr(module, "SHARED", False) and (launcher := ranks.launcher()):
        _become([*launcher, "-m", "stages", *_words()])
    if ranks.inside():
        runtime.leave_with_parent(stages.STARTED_BY)
    with ranks.group(runtime.device):
        module.run(layout, *variant, **load(layout, slices_of(module, *variant)))
        ranks.barrier()
    if stage.startswith("evaluate_"):
        provenance.write(layout, stage)


def _words() -> list[str]:
    """The words of the command line: a stage, and its variant if it has variants."""
    return sys.argv[1:]


def run_name() -> str:
    """The stage and its variant as one word. It names the log and the folder of unfinished work."""
    return "_".join(_words()) or "stages"


def _module(stage: str) -> ModuleType:
    """Import the module of a stage.

    Raises:
        UserError: there is no such stage.
    """
    known = sorted(p.stem for p in Path(__file__).parent.glob("[a-z]*.py"))
    if stage not in known:
        problem = "no such stage" if stage else "no stage is named"
        raise UserError(f"{problem}; choose one of {', '.join(known)}")
    return importlib.import_module(f"stages.{stage}")


def slices_of(module: ModuleType, *variant: str) -> Slices:
    """Return the slices of params.yaml that a stage takes, or those that its variant takes.

    Raises:
        UserError: the stage does not have this variant, or has no variants.
    """
    slices: Any = module.SLICES
    name = " ".join(variant)
    if not any(isinstance(s, Mapping) for s in slices.values()):
        if variant:
            raise UserError(f"this stage has no variants; leave out '{name}'")
        return slices
    if name not in slices:
        problem = f"no variant '{name}'" if variant else "no variant is named"
        raise UserError(f"{problem}; choose one of {', '.join(slices)}")
    return slices[name]


def load(layout: Layout, slices: Slices) -> dict[str, Any]:
    """Read the slices from params.yaml and validate them."""
    values = read_yaml(layout.params)
    return {key: section(values, name, model) for key, (name, model) in slices.items()}


def require(*paths: Path) -> None:
    """Check that the outputs of earlier stages exist.

    A stage needs this only where it would read a missing file as "nothing to do".

    Raises:
        MissingFileError: a path does not exist. `main` adds which stage makes it.
    """
    for path in paths:
        if not path.exists():
            raise MissingFileError(path)


def trunk_weights(layout: Layout, weights: str, *, task: str) -> str:
    """Return what a trunk starts from: `imagenet`, `none`, or the path of a state dict.

    Args:
        layout: the project's paths.
        weights: the param of the trunk, which may also be `pretext`.
        task: the param `pretext.task`.

    Raises:
        MissingFileError: the trunk of the task is not trained yet.
    """
    if weights != "pretext":
        return weights
    path = layout.pretext(task) / "weights.safetensors"
    require(path)
    return path.as_posix()


def _become(command: list[str]) -> None:
    """Replace this process by the launcher of the ranks, which share the cores."""
    if not os.environ.get("GUIDELABEL_LAUNCH") and (count := os.environ["GUIDELABEL_NPROC"]):
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, runtime.workers() // int(count))))
    try:
        os.execvp(command[0], command)
    except FileNotFoundError as e:
        raise UserError(
            f"GUIDELABEL_LAUNCH: no command '{command[0]}'; correct the name or the PATH"
        ) from e


def _print_error(error: UserError) -> None:
    """Print the error as one line that names the stage and, if there are several, the rank."""
    message = _with_maker(error) if isinstance(error, MissingFileError) else str(error)
    rank = f", rank {ranks.rank()}" if ranks.world() > 1 else ""
    print(printable(f"error: {run_name()}{rank}: {message}"), file=sys.stderr)


def _with_maker(missing: MissingFileError) -> str:
    """The message of the error. If a stage of dvc.yaml makes the file, the message names it."""
    for stage, out, entry in _outs():
        pattern = "([^/]+)".join(map(re.escape, re.split(r"\$\{[^}]+\}", out)))
        if match := re.match(rf"{pattern}(?:/|$)", missing.path.as_posix()):
            edit = _missing_choice(entry, *match.groups())
            return f"{missing.path}: not found; {edit}run `{COMMAND} run {stage}` first"
    return str(missing)


def _outs() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield each stage's name, each of its outputs, and its entry in a dvc.yaml."""
    for dvc_file in ("dvc.yaml", "optional/dvc.yaml"):
        for stage, entry in read_yaml(Path(dvc_file))["stages"].items():
            body = entry.get("do", entry)  # `do` is the body of a foreach
            for out in [*body["outs"], *body.get("metrics", ())]:
                for key in entry.get("foreach", ()):
                    yield f"{stage}@{key}", re.sub(r"\$\{(key|item)\}", key, out), entry
                if "foreach" not in entry:
                    yield stage, out, entry


def _missing_choice(entry: Mapping[str, Any], *item: str) -> str:
    """If a list in params.yaml must first name the item of a matrix stage, say so."""
    for param in re.findall(r"\$\{(.+?)\}", str(entry.get("matrix", ""))):
        chosen = reduce(getitem, param.split("."), read_yaml(Layout().params))
        if item[0] not in chosen:
            return f"add {item[0]} to {param} in params.yaml, then "
    return ""


def _log(layout: Layout, seconds: float) -> None:
    """Write time, peak memory of the largest process, and a network's device; no output of DVC.

    If the stage continued the work of calls that were killed, write their time, too.
    """
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / MAXRSS_PER_KIB
    peak = max(_peak_kib(), children)
    record: dict[str, Any] = {"seconds": round(seconds, 1), "peak_mib": round(peak / 1024)}
    note = layout.call(run_name())
    if note.exists() and (earlier := formats.read_json(note)["earlier_seconds"]):
        record["earlier_seconds"] = earlier
    if "torch" in sys.modules:
        record["run_on"] = runtime.describe()
    formats.write_json(layout.log / f"{run_name()}.json", record)


def _peak_kib() -> float:
    """Peak memory of this process. On Linux, `ru_maxrss` counts the process that started it too."""
    if (status := Path("/proc/self/status")).exists():
        return float(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1])  # type: ignore[index]
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MAXRSS_PER_KIB
