"""Check every image and mask once; write what training may see and what only scoring may see."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from pipeline.core import formats, runtime, shards
from pipeline.core.errors import UserError
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

SHOWN = 20  # bad files that are named


def _one(job: tuple[Layout, Entry, Sequence[str]]) -> tuple[Sample, Path | None] | str:
    """Check one image, and write its label if it has a mask; or what is wrong with it."""
    layout, entry, classes = job
    try:
        sample, label = checks.check(entry, classes)
    except UserError as e:
        return str(e)
    if label is None:
        return sample, None
    path = layout.labels("full") / f"{sample.id}.png"
    formats.write_label(path, label)
    return sample, path


def run(layout: Layout, *, data: Data, shard: int) -> None:
    """Write samples.csv, truth.csv and what else only scoring may see, the class list, counts."""
    found = sources.read(data)
    shutil.rmtree(layout.labels("full"), ignore_errors=True)  # only if run without DVC
    layout.labels("full").mkdir(parents=True)
    jobs = [(layout, entry, found.classes) for entry in found.entries]
    found_each = list(runtime.pool_map(_one, jobs, what="prepare"))
    if bad := [each for each in found_each if isinstance(each, str)]:
        for line in bad[1:SHOWN]:
            runtime.say(f"error: {line}")
        more = f" ({len(bad)} such errors; up to {SHOWN} are named above)" if bad[1:] else ""
        raise UserError(f"{bad[0]}{more}")
    checked = [each for each in found_each if not isinstance(each, str)]
    samples = [sample for sample, _ in checked]
    truth = [(sample.id, path.as_posix()) for sample, path in checked if path]
    if not truth:  # an empty output is a warning of DVC's at every stage
        (layout.labels("full") / "no_masks.txt").touch()
    elif shard:
        shards.pack(layout.labels("full"), per_shard=shard)
    write_samples(layout.samples, samples)
    formats.write_table(layout.truth, truth, columns=("id", "mask"))
    difficult = [(e.id, " ".join(e.difficult)) for e in found.entries if e.difficult]
    formats.write_table(layout.difficult, difficult, columns=("id", "tags"))
    formats.write_json(layout.classes, list(found.classes))
    counts = checks.counts(samples, found, masks=len(truth))
    formats.write_json(layout.counts, counts)
    runtime.say(f"prepare: {counts}")
