"""Keep what a killed stage has made, so that its next run continues there.

Unfinished work is in .resume/RUN-KEY. RUN names the stage and its variant. KEY changes with the
inputs, the params, the code and the device, so that no run continues the work of a different one.
`stages/_run.py` removes the folders of a stage that is done, once DVC has stored its outputs.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.core import engine, formats, ranks, runtime, shards
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint
from pipeline.core.samples import Sample, read_samples
from stages import _run


def folder(layout: Layout, *, weights: str | None, inputs: Sequence[Path], params_key: str) -> Path:
    """Return the folder for this run's unfinished work.

    Args:
        layout: the project's paths.
        weights: the trunk's weights; a file counts by its content. None: the stage uses no network.
        inputs: files and folders that the stage reads.
        params_key: the fingerprint of its params.
    """
    work = layout.resume / ranks.agreed(lambda: _folder_name(weights, inputs, params_key))
    if ranks.first():
        _note_call(layout, work)
    return work


def _note_call(layout: Layout, work: Path) -> None:
    """Note that a call of this stage starts, and what the earlier calls for the same work took.

    A killed call cannot note when it ended. It counts until the last file that it finished: what
    it computed after that is lost, and computed again. A finished file changes its folder's time.
    """
    note, earlier = layout.call(_run.run_name()), 0.0
    if work.exists() and note.exists():
        with contextlib.suppress(UserError):  # it was cut off
            last = formats.read_json(note)
            ended = max(os.stat(folder).st_mtime for folder, _, _ in os.walk(work))
            if last["work"] == work.name:
                earlier = last["earlier_seconds"] + max(0.0, ended - note.stat().st_mtime)
    formats.write_json(note, {"work": work.name, "earlier_seconds": round(earlier, 1)})


def _folder_name(weights: str | None, inputs: Sequence[Path], params_key: str) -> str:
    files = [
        *inputs,
        *sorted(Path("pipeline").rglob("*.py")),
        *sorted(Path("stages").rglob("*.py")),
    ]
    files += [Path(weights)] if weights and Path(weights).is_file() else []
    device = "" if weights is None else str(runtime.describe())
    return f"{_run.run_name()}-{fingerprint(formats.digest(*files), params_key, device)}"


@contextlib.contextmanager
def outputs(
    layout: Layout,
    outs: Sequence[Path],
    *,
    inputs: Sequence[Path],
    params_key: str,
    network: bool = True,
    ids: Sequence[str] | None = None,
    packed: bool = True,
) -> Iterator[Layout]:
    """Yield a temporary layout for per-image files, and move or link them to `outs` at the end.

    The temporary layout still holds the files of a killed run. Files are not written to `outs`
    directly, because DVC deletes the outs of a stage before it runs.

    Args:
        layout: the project's paths.
        outs: the folders that the stage makes.
        inputs: files and folders that it reads.
        params_key: the fingerprint of its params.
        network: whether a network makes the files, so that they depend on the device.
        ids: the ids of all images; None: those of samples.csv.
        packed: whether GUIDELABEL_SHARD may pack the files into tars at the end. A run with another
            value than that of the killed run still uses its files.
    """
    per_shard = shards.images_per_tar() if packed else 0
    weights, hardware = ("", engine.hardware()) if network else (None, "")
    params_key = fingerprint(params_key, hardware)
    work = Layout(folder(layout, weights=weights, inputs=inputs, params_key=params_key))
    unfinished = _inside(work, layout, outs)
    for path in unfinished:
        path.mkdir(parents=True, exist_ok=True)
    yield work
    if per_shard and ids is None:
        ids = [sample.id for sample in read_samples(layout.samples)]
    for path in unfinished:
        shards.pack(path, ids or (), per_shard=per_shard)
    for path, out in zip(unfinished, outs, strict=True):
        _replace(path, out)


def _inside(work: Layout, layout: Layout, outs: Sequence[Path]) -> list[Path]:
    """The paths in `work` that correspond to `outs` in `layout`."""
    return [work.root / out.relative_to(layout.root) for out in outs]


def _replace(unfinished: Path, out: Path) -> None:
    """Put a folder of finished files in the place of an output.

    Under DVC, the files also stay where they are, until DVC has stored the output.
    """
    if out.exists():  # only if the stage is run without DVC
        shutil.rmtree(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    if _run.under_dvc():
        with contextlib.suppress(OSError):  # the file system has no hard links
            shutil.copytree(unfinished, out, copy_function=os.link)
            return
        shutil.rmtree(out, ignore_errors=True)
    shutil.move(unfinished, out)


def finished_ids(*folders: Path) -> set[str]:
    """Return the ids of the images that have a complete file in each of `folders`."""
    return set.intersection(*map(shards.ids, folders))


def compute_images(
    make: Callable[[], Any], samples: Sequence[Sample], *, folders: Sequence[Path], title: str
) -> None:
    """Write the files of every image with a network, where a batch has none yet.

    Args:
        make: makes what writes the files of a chunk of batches. It has the attribute `network`, an
            `infer.Pass`, which divides the images into batches.
        samples: the images.
        folders: where the files of each image are.
        title: the title of the progress bar.
    """
    work = engine.Once(make)
    batches = work.made.network.batches(samples, done=finished_ids(*folders))
    for _ in engine.run(work, batches, title=title, network=True):
        pass


def process_images(
    layout: Layout,
    make: Callable[..., Callable[[Sequence[Sample]], Any]],
    samples: Sequence[Sample],
    *,
    outs: Sequence[Path],
    inputs: Sequence[Path],
    params_key: str,
    packed: bool = True,
) -> None:
    """Write the files of every image in processes, without a network.

    `make` is called as in `process_unfinished`. The other arguments are those of `outputs`.
    """
    inputs = [layout.samples, *inputs]
    with outputs(
        layout, outs, inputs=inputs, params_key=params_key, network=False, packed=packed
    ) as work:
        process_unfinished(layout, work, make, samples, outs=outs)


def process_unfinished(
    layout: Layout,
    work: Layout,
    make: Callable[..., Callable[[Sequence[Sample]], Any]],
    samples: Sequence[Sample],
    *,
    outs: Sequence[Path],
    network: bool = False,
) -> None:
    """Write the files of each image that lacks a file in `outs`, in processes.

    Args:
        layout: the project's paths.
        work: the layout that `outputs` opened.
        make: `make(work=work)` returns what writes the files of a chunk of images to `work`.
        samples: the images.
        outs: the folders that the stage makes.
        network: whether a network makes them, one image at a time.
    """
    done = finished_ids(*_inside(work, layout, outs))
    units = [[s] for s in samples if s.id not in done]
    title = _run.run_name().replace("_", " ")
    work_once = engine.Once(partial(make, work=work))
    for _ in engine.run(work_once, units, title=title, network=network):
        pass
