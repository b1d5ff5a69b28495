"""How every stage runs: load its slice of params.yaml, run, exit code; bad input is one line."""

import contextlib
import os
import re
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from pipeline import formats, params, ranks, runtime, shards
from pipeline.errors import UserError
from pipeline.formats import Sample
from pipeline.layout import Layout

Slice = tuple[str, Any]  # dotted name in params.yaml, its model
UNIT = 1024 if sys.platform == "darwin" else 1  # of ru_maxrss, in a KiB
SHARD: Slice = ("shard", Annotated[int, Field(ge=0)])


def main(run: Callable[..., None], *, shared: bool = False, **slices: Slice) -> None:
    """Run a stage with its params.

    Args:
        run: takes the layout, and one keyword for each of `slices`.
        shared: whether ranks can share the work; else it runs where it was started alone.
        slices: keyword -> (dotted name in params.yaml, its model). They equal what dvc.yaml
            declares for the stage.
    """
    layout, start = Layout(), time.monotonic()
    name = _name()
    try:
        if shared and (command := ranks.launcher()):
            _become([*command, "-m", sys.modules["__main__"].__spec__.name])  # type: ignore[union-attr]
        if ranks.inside():
            runtime.leave_with_parent()
        with ranks.group(runtime.device):
            run(layout, **load(layout, slices))
            ranks.barrier()
    except UserError as e:
        who = f"{name}, rank {ranks.rank()}" if ranks.world() > 1 else name
        print(f"error: {who}: {e}", file=sys.stderr)
        sys.exit(1)
    except RuntimeError as e:
        if not ranks.lost(e):
            raise
        sys.exit(f"error: {name}, rank {ranks.rank()}: another rank is gone")
    except KeyboardInterrupt:  # what it has made so far stays in `layout.resume`
        sys.exit(130)
    if not ranks.first():
        return
    for leftover in layout.resume.glob(f"{name}-*"):
        shutil.rmtree(leftover)
    _log(layout, name, time.monotonic() - start)


def _become(command: list[str]) -> None:
    """Replace this process by the launcher of the ranks, which share the cores."""
    if not os.environ.get("GUIDELABEL_LAUNCH") and (count := os.environ["GUIDELABEL_NPROC"]):
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, runtime.workers() // int(count))))
    try:
        os.execvp(command[0], [*command, *sys.argv[1:]])
    except FileNotFoundError as e:
        raise UserError(f"GUIDELABEL_LAUNCH: no command '{command[0]}'") from e


def load(layout: Layout, slices: dict[str, Slice]) -> dict[str, Any]:
    """The validated slices of params.yaml."""
    values = params.read_yaml(layout.params)
    return {key: params.section(values, name, model) for key, (name, model) in slices.items()}


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
    files = [*inputs, *sorted(Path("pipeline").glob("*.py")), *sorted(Path("stages").glob("*.py"))]
    files += [Path(weights)] if weights and Path(weights).is_file() else []
    device = "" if weights is None else str(runtime.describe())
    key = params.fingerprint(formats.digest(*files), about, device)
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
    about = params.fingerprint(about, str(shard))
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
    make: Callable[[Any], None],
    samples: Sequence[Sample],
    *more: Any,
    outs: Sequence[Path],
    inputs: Sequence[Path],
    about: str,
    shard: int,
) -> None:
    """Make the files of every image: `pool`, in a `partial` layout."""
    inputs = [layout.samples, *inputs]
    with partial(layout, outs, inputs=inputs, about=about, shard=shard, network=False) as work:
        pool(layout, work, make, samples, *more, outs=outs)


def pool(
    layout: Layout,
    work: Layout,
    make: Callable[[Any], None],
    samples: Sequence[Sample],
    *more: Any,
    outs: Sequence[Path],
) -> None:
    """`make((layout, work, sample, *more))` in processes, for images not yet in all `outs`."""
    done = finished(*(work.root / out.relative_to(layout.root) for out in outs))
    jobs = [(layout, work, s, *more) for s in ranks.mine(samples) if s.id not in done]
    list(runtime.pool_map(make, jobs, what=_name().replace("_", " ")))


def _name() -> str:
    module = sys.modules["__main__"].__spec__.name.split(".")[-1]  # type: ignore[union-attr]
    return "_".join([module, *sys.argv[1:]])


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
