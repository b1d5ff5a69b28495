"""Check every image and mask once; write what training may see and what only scoring may see."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from pipeline.core import formats, runtime, shards
from pipeline.core.errors import MAX_NAMED, UserError, listing
from pipeline.core.layout import Layout
from pipeline.core.samples import Sample, write_samples
from pipeline.dataset import checks, sources
from pipeline.dataset.config import Data
from pipeline.dataset.entries import Entry
from stages import _run

SLICES: _run.Slices = {
    "data": ("data", Data),
    "shard": _run.SHARD,
}

Ready = tuple[Sample, Path | None, tuple[str, ...]]  # sample, path of its label, notes


def _check(job: tuple[Layout, Entry, Sequence[str]]) -> Ready | str:
    """Check one image, and write its label if it has a mask. An error is returned as text."""
    layout, entry, classes = job
    try:
        checked = checks.check(entry, classes)
    except UserError as e:
        return str(e)
    if checked.label is None:
        return checked.sample, None, checked.notes
    path = layout.labels("full") / f"{entry.id}.png"
    formats.write_label(path, checked.label)
    return checked.sample, path, checked.notes


def _raise_errors(errors: list[str]) -> None:
    """Raise the first error, if any; print the others, up to MAX_NAMED in all."""
    if not errors:
        return
    for line in errors[1:MAX_NAMED]:
        runtime.say(f"error: {line}")
    more = f" ({len(errors)} such errors; up to {MAX_NAMED} are named above)" if errors[1:] else ""
    raise UserError(f"{errors[0]}{more}")


def run(layout: Layout, *, data: Data, shard: int) -> None:
    """Write the samples, the truth, the difficult tags, the class list and the counts."""
    dataset = sources.read(data)
    shutil.rmtree(layout.labels("full"), ignore_errors=True)  # only if run without DVC
    layout.labels("full").mkdir(parents=True)
    jobs = [(layout, entry, dataset.classes) for entry in dataset.entries]
    results = list(runtime.pool_map(_check, jobs, title="prepare"))
    _raise_errors([result for result in results if isinstance(result, str)])
    checked = [result for result in results if not isinstance(result, str)]
    samples = [sample for sample, _, _ in checked]
    truth = [(sample.id, path.as_posix()) for sample, path, _ in checked if path]
    ids_by_note = checks.group((sample.id, notes) for sample, _, notes in checked)
    if not truth:  # at every stage, DVC would warn of an empty output
        (layout.labels("full") / "no_masks.txt").touch()
    elif shard:
        shards.pack(layout.labels("full"), [s.id for s in samples], per_shard=shard)
    write_samples(layout.samples, samples)
    formats.write_table(layout.truth, truth, columns=("id", "mask"))
    difficult = [(e.id, " ".join(e.difficult)) for e in dataset.entries if e.difficult]
    formats.write_table(layout.difficult, difficult, columns=("id", "tags"))
    formats.write_json(layout.classes, list(dataset.classes))
    for note, ids in ids_by_note.items():
        runtime.say(f"note: {note}: {len(ids)} ({listing(ids)})")
    counts = checks.counts(samples, dataset, masks=len(truth), ids_by_note=ids_by_note)
    formats.write_json(layout.counts, counts)
    for line in checks.describe(counts):
        runtime.say(f"prepare: {line}")
    if pairs := checks.in_train_and_val(samples):
        named = listing([f"{val!r} = {train!r}" for train, val in pairs])
        runtime.say(
            f"warning: train holds the same picture as val, so val scores are too high: {named}; "
            "remove one of the two"
        )
