"""How every stage runs: load its slice of params.yaml, run it, log time and memory."""

import contextlib
import functools
import importlib
import os
import re
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

from pydantic import Field

from pipeline.core import formats, ranks, runtime, shards
from pipeline.core.errors import MissingFileError, UserError
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint, read_yaml, section
from pipeline.core.samples import Sample

Slice = tuple[str, Any]  # dotted name in params.yaml, its model
Slices = Mapping[str, Slice]  # by the keyword that a stage's `run` takes
UNIT = 1024 if sys.platform == "darwin" else 1  # of ru_maxrss, in a KiB
SHARD: Slice = ("shard", Annotated[int, Field(ge=0)])


def main() -> None:
    """Run the stage that the command line names; bad input is one line and exit code 1."""
    layout, start, name = Layout(), time.monotonic(), _name()
    try:
        stage, *variant = _words()
        module = _module(stage)
        if getattr(module, "SHARED", False) and (command := ranks.launcher()):
            _become([*command, "-m", "stages", *_words()])
        if ranks.inside():
            runtime.leave_with_parent()
        with ranks.group(runtime.device):
            module.run(layout, *variant, **load(layout, slices_of(module, *variant)))
            ranks.barrier()
    except UserError as e:
        said = _with_maker(e) if isinstance(e, MissingFileError) else e
        who = f"{name}, rank {ranks.rank()}" if ranks.world() > 1 else name
        print(f"error: {who}: {said}", file=sys.stderr)
        sys.exit(1)
    except RuntimeError as e:
        if not ranks.lost(e):
            raise
        sys.exit(f"error: {name}, rank {ranks.rank()}: another rank is gone")
    if not ranks.first():
        return
    for leftover in layout.resume.glob(f"{name}-*"):
        shutil.rmtree(leftover)
    _log(layout, name, time.monotonic() - start)


def _with_maker(missing: MissingFileError) -> str:
    """The error with the stage that makes the file, as dvc.yaml says."""
    for file in ("dvc.yaml", "optional/dvc.yaml"):
        for stage, body in read_yaml(Path(file))["stages"].items():
            for out in body.get("do", body).get("outs", ()):
                folder = "[^/]+".join(map(re.escape, re.split(r"\$\{[^}]+\}", out)))
                if re.match(rf"{folder}(/|$)", missing.path.as_posix()):
                    return f"{missing.path}: not found; run `python cli.py run {stage}` first"
    return str(missing)


def _words() -> list[str]:
    """The command line: a stage, and its variant where it has some."""
    return sys.argv[1:]


def _module(stage: str) -> ModuleType:
    known = sorted(p.stem for p in Path(__file__).parent.glob("[a-z]*.py"))
    if stage not in known:
        raise UserError(f"no such stage; choose one of {', '.join(known)}")
    return importlib.import_module(f"stages.{stage}")


def slices_of(module: ModuleType, *variant: str) -> Slices:
    """The params that a stage takes, for a variant where it has some.

    Raises:
        UserError: the stage does not have this variant.
    """
    slices: Any = module.SLICES
    if slices and all(isinstance(v, Mapping) for v in slices.values()):
        if (one := variant[0] if variant else "") not in slices:
            raise UserError(f"no variant '{one}'; choose one of {', '.join(slices)}")
        return slices[one]
    return slices


def _become(command: list[str]) -> None:
    """Replace this process by the launcher of the ranks, which share the cores."""
    if not os.environ.get("GUIDELABEL_LAUNCH") and (count := os.environ["GUIDELABEL_NPROC"]):
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, runtime.workers() // int(count))))
    try:
        os.execvp(command[0], command)
    except FileNotFoundError as e:
        raise UserError(f"GUIDELABEL_LAUNCH: no command '{command[0]}'") from e


def load(layout: Layout, slices: Slices) -> dict[str, Any]:
    """The validated slices of params.yaml."""
    values = read_yaml(layout.params)
    return {key: section(values, name, model) for key, (name, model) in slices.items()}


def resume_folder(
    layout: Layout, *, weights: str | None, inputs: Sequence[Path], about: str
) -> Path:
    """Where this stage keeps its training state: another input, param, code or device, another one.

    Args:
        layout: the project's paths.
        weights: the trunk's weights; a file counts by its content. None: no network takes part.
        inputs: files and folders that the training reads.
        about: the fingerprint of the params.
    """
    return layout.resume / ranks.agreed(lambda: _resume_name(weights, inputs, about))


def _resume_name(weights: str | None, inputs: Sequence[Path], about: str) -> str:
    files = [
        *inputs,
        *sorted(Path("pipeline").rglob("*.py")),
        *sorted(Path("stages").rglob("*.py")),
    ]
    files += [Path(weights)] if weights and Path(weights).is_file() else []
    device = "" if weights is None else str(runtime.describe())
    key = fingerprint(formats.digest(*files), about, device)
    return f"{_name()}-{key}"


@contextlib.contextmanager
def partial(
    layout: Layout,
    outs: Sequence[Path],
    *,
    inputs: Sequence[Path],
    about: str,
    shard: int,
    network: bool = True,
) -> Iterator[Layout]:
    """A layout to write per-image files by; what a killed run wrote is still there.

    DVC deletes a stage's outputs before it runs, so they are made beside them and moved at the end.

    Args:
        layout: the project's paths.
        outs: the folders that the stage makes.
        inputs: files and folders it reads.
        about: the fingerprint of the params.
        shard: above 0, the outputs are archives of about so many files.
        network: whether one makes the files, on a device.
    """
    about = fingerprint(about, str(shard))
    weights = "" if network else None
    folder = resume_folder(layout, weights=weights, inputs=inputs, about=about)
    for out in outs:
        (folder / out.relative_to(layout.root)).mkdir(parents=True, exist_ok=True)
    yield Layout(folder)
    ranks.barrier()
    for out in outs if shard else ():
        shards.pack(folder / out.relative_to(layout.root), per_shard=shard)
    ranks.barrier()
    for out in outs if ranks.first() else ():
        if out.exists():  # only if run without DVC
            shutil.rmtree(out)
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder / out.relative_to(layout.root), out)


def finished(*folders: Path) -> set[str]:
    """The ids of the files that are in all `folders`; half a file has another suffix."""
    return set.intersection(*map(shards.ids, folders))


def each(
    layout: Layout,
    make: Callable[..., None],
    samples: Sequence[Sample],
    *,
    outs: Sequence[Path],
    inputs: Sequence[Path],
    about: str,
    shard: int,
) -> None:
    """Make the files of every image: `pool`, in a `partial` layout."""
    inputs = [layout.samples, *inputs]
    with partial(layout, outs, inputs=inputs, about=about, shard=shard, network=False) as work:
        pool(layout, work, make, samples, outs=outs)


def pool(
    layout: Layout,
    work: Layout,
    make: Callable[..., None],
    samples: Sequence[Sample],
    *,
    outs: Sequence[Path],
) -> None:
    """Call `make(sample, work=work)` in processes for images that are not yet in all `outs`."""
    done = finished(*(work.root / out.relative_to(layout.root) for out in outs))
    left = [s for s in ranks.mine(samples) if s.id not in done]
    one = functools.partial(make, work=work)
    list(runtime.pool_map(one, left, what=_name().replace("_", " ")))


def _name() -> str:
    """The stage and its variant as one word, for its log and its resume folder."""
    return "_".join(_words())


def _log(layout: Layout, name: str, seconds: float) -> None:
    """Time and the largest process's peak memory; not in the outputs, which are byte-stable."""
    peak = max(_peak_kib(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / UNIT)
    record = {"seconds": round(seconds, 1), "peak_mib": round(peak / 1024)}
    formats.write_json(layout.log / f"{name}.json", record)


def _peak_kib() -> float:
    """Of this process; Linux counts what started it, DVC, in `ru_maxrss`."""
    if (status := Path("/proc/self/status")).exists():
        return float(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1])  # type: ignore[index]
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / UNIT
