"""Check every image and mask once; write what training may see and what only scoring may see."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.core import formats, runtime, shards
from pipeline.core.errors import MAX_NAMED, UserError, listing
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint
from pipeline.core.samples import Sample, write_samples
from pipeline.dataset import checks, sources
from pipeline.dataset.config import Data
from pipeline.dataset.entries import Entry, Read
from stages import _resume, _run

SLICES: _run.Slices = {"data": ("data", Data)}
CHECKED = "checked.jsonl"  # in the folder of unfinished work: a line for each good image


class Finding(NamedTuple):
    """What the check of a good image found. `state` is that of its files, from `_state`."""

    id: str
    state: str
    height_px: int
    width_px: int
    digest: str
    notes: Sequence[str]


def _check(job: tuple[Layout, Entry, Sequence[str]]) -> Finding | str:
    """Check one image, and write its label if it has a mask. An error is returned as text."""
    work, entry, classes = job
    state = _state(entry)
    try:
        checked = checks.check(entry, classes)
    except UserError as e:
        return str(e)
    if checked.label is not None:
        formats.write_label(work.labels("full") / f"{entry.id}.png", checked.label)
    sample = checked.sample
    return Finding(entry.id, state, sample.height_px, sample.width_px, sample.digest, checked.notes)


def _state(entry: Entry) -> str:
    """Hash an entry, and the size and time of its files or their tars; "" if one is missing."""
    try:
        states = [shards.state(p) for p in (entry.image, entry.mask) if p]
    except OSError:
        return ""
    return fingerprint(repr((entry, states)))


def _check_all(work: Layout, dataset: Read) -> dict[str, Finding]:
    """Check each image that a killed run has not found good. Return the findings by image id.

    Raises:
        UserError: some images are bad. The next run checks these again, and not the good ones.
    """
    log, findings = work.root / CHECKED, _kept(work, dataset.entries)
    lines = "".join(f"{json.dumps(f)}\n" for f in findings.values())
    formats.replace_file(log, lambda file: file.write(lines.encode()))
    jobs = [(work, e, dataset.classes) for e in dataset.entries if e.id not in findings]
    errors: list[str] = []
    with log.open("a", buffering=1) as file:
        for result in runtime.pool_map(_check, jobs, title="prepare"):
            if isinstance(result, str):
                errors.append(result)
            else:
                findings[result.id] = result
                file.write(f"{json.dumps(result)}\n")
    _raise_errors(errors)
    return findings


def _kept(work: Layout, entries: Sequence[Entry]) -> dict[str, Finding]:
    """Return what a killed run found, where it still holds; remove the labels of other images."""
    folder = work.labels("full")
    labels = _resume.finished_ids(folder)
    found = {
        f.id: f for f in (Finding(*row) for row in formats.read_json_lines(work.root / CHECKED))
    }
    kept = {e.id: found[e.id] for e in entries if e.id in found and _holds(found[e.id], e, labels)}
    stale = labels - {e.id for e in entries if e.mask and e.id in kept}
    if not stale and len(kept) == len(entries):
        return kept
    if _in_tars(folder):  # it was killed when all was checked; tars cannot be changed
        shutil.rmtree(folder)
        folder.mkdir(parents=True)
        return {}
    for key in stale:
        (folder / f"{key}.png").unlink()
    return kept


def _holds(finding: Finding, entry: Entry, labels: set[str]) -> bool:
    """Whether an image has not changed since it was checked, and its label is there."""
    has_label = not entry.mask or entry.id in labels
    return has_label and bool(finding.state) and finding.state == _state(entry)


def _in_tars(folder: Path) -> bool:
    suffixes = {Path(name).suffix for _, _, names in os.walk(folder) for name in names}
    return not suffixes <= {".png", ".part"}


def _raise_errors(errors: list[str]) -> None:
    """Raise the first error, if any; print the others, up to MAX_NAMED in all."""
    if not errors:
        return
    for line in errors[1:MAX_NAMED]:
        runtime.say(f"error: {line}")
    more = f" ({len(errors)} such errors; up to {MAX_NAMED} are named above)" if errors[1:] else ""
    raise UserError(f"{errors[0]}{more}")


def run(layout: Layout, *, data: Data) -> None:
    """Write the samples, the truth, the difficult tags, the class list and the counts."""
    dataset, full = sources.read(data), layout.labels("full")
    has_masks = any(entry.mask for entry in dataset.entries)
    with _resume.outputs(
        layout, [full], inputs=[], params_key=fingerprint(*dataset.classes),
        packed=has_masks, network=False, ids=[entry.id for entry in dataset.entries],
    ) as work:  # fmt: skip
        findings = _check_all(work, dataset)
    samples = [_sample(entry, findings[entry.id]) for entry in dataset.entries]
    truth = [(e.id, (full / f"{e.id}.png").as_posix()) for e in dataset.entries if e.mask]
    ids_by_note = checks.group((s.id, tuple(findings[s.id].notes)) for s in samples)
    if not truth:  # at every stage, DVC would warn of an empty output
        (full / "no_masks.txt").touch()
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


def _sample(entry: Entry, finding: Finding) -> Sample:
    size = finding.height_px, finding.width_px
    return Sample(entry.id, entry.image, entry.split, entry.tags, *size, finding.digest)
