"""Make the labels of the supervisions brought and corrected, from masks that the user brings."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pipeline.brought import masks
from pipeline.core import formats, runtime, shards
from pipeline.core.errors import UserError, listing
from pipeline.core.layout import Layout
from pipeline.core.samples import Sample, read_samples
from pipeline.dataset import checks
from stages import _resume, _run

SLICES: dict[str, _run.Slices] = {
    name: {"path": (param, Path)} for name, param in masks.PARAMS.items()
}
FATE = {  # of an image without a mask
    "brought": "are left out of the training",
    "corrected": "keep their guide label",
}
Noted = tuple[str, tuple[str, ...]]  # an id, and what is odd about its mask


def run(layout: Layout, supervision: str, *, path: Path) -> None:
    """Write the label of every image that has a mask; for `corrected`, also the other guide labels.

    `brought` writes no label for the other images. So the training leaves them out: void labels
    would teach it nothing and take as long.

    Raises:
        UserError: there are no masks, or some are refused.
    """
    samples, guide = read_samples(layout.samples), _guide(layout, supervision)
    found, unused = masks.find(path, [s.id for s in samples], supervision=supervision)
    labelled = [s for s in samples if s.id in found or _has_label(guide, s)]
    with _resume.outputs(
        layout,
        [layout.labels(supervision)],
        inputs=[layout.samples, layout.classes, path, *guide],
        params_key="",
        network=False,
    ) as work:
        out, classes = work.labels(supervision), formats.read_json(layout.classes)
        finished = _resume.finished_ids(out)
        left = [s for s in labelled if s.id not in finished]
        write = partial(_write_label, out=out, found=found, guide=guide, classes=classes)
        done = list(runtime.pool_map(write, left, title=f"relabel {supervision}"))
        masks.raise_refused(path, [d for d in done if isinstance(d, str)], total=len(found))
    _say_counts(supervision, samples, found, unused)
    for note, ids in checks.group(d for d in done if not isinstance(d, str)).items():
        runtime.say(f"note: {note}: {len(ids)} ({listing(ids)})")


def _guide(layout: Layout, supervision: str) -> list[Path]:
    """Return the folder of the labels that images without a mask keep, if there is one."""
    folders = [layout.labels("guide")] if supervision == "corrected" else []
    _run.require(*folders)
    return folders


def _has_label(folders: Sequence[Path], sample: Sample) -> bool:
    return any(shards.exists(folder / f"{sample.id}.png") for folder in folders)


def _write_label(
    sample: Sample,
    *,
    out: Path,
    found: dict[str, Path],
    guide: Sequence[Path],
    classes: Sequence[str],
) -> Noted | str:
    """Write the label of one image. An error is returned as text."""
    notes: tuple[str, ...] = ()
    try:
        if sample.id in found:
            label_HW, notes = masks.read(sample, found[sample.id], classes)
        else:
            label_HW = formats.read_label(guide[0] / f"{sample.id}.png")
    except UserError as e:
        return str(e)
    formats.write_label(out / f"{sample.id}.png", label_HW)
    return sample.id, notes


def _say_counts(
    supervision: str, samples: Sequence[Sample], found: dict[str, Path], unused: int
) -> None:
    train = [s.id in found for s in samples if s.split == "train"]
    runtime.say(
        f"relabel {supervision}: {sum(train)} of {len(train)} train images have a mask; "
        f"{len(train) - sum(train)} have none and {FATE[supervision]}; "
        f"{unused} other file{'' if unused == 1 else 's'}"
    )
