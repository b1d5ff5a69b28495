"""Score the labels that one segmenter learned from, and compare them with another's."""

from pathlib import Path
from typing import Any

from pipeline.core import formats, runtime, shards
from pipeline.core.arrays import Int
from pipeline.core.layout import Layout
from pipeline.core.params import lay_over
from pipeline.core.samples import Sample, read_samples
from pipeline.core.supervision import SUPERVISIONS, Supervision
from pipeline.scores.labels import counting, disagreement, label_scores
from pipeline.scores.shared.scored import read_scored
from stages import _run

SLICES: dict[str, _run.Slices] = {
    name: {"chosen": ("segment.supervision", Supervision)} for name in SUPERVISIONS
}

Counts = dict[tuple[str, str], Int]  # by (split, id), the pixels of two labels by both classes


def run(layout: Layout, supervision: str, *, chosen: tuple[str, ...]) -> None:
    """Write scores.json, and a table of the classes, of the images and of the disagreements.

    The labels are compared with those of the first supervision, on the images that both label.
    """
    classes = ["background", *formats.read_json(layout.classes)]
    first, folder = chosen[0], layout.label_scores(supervision)
    link, links = f"labels_{supervision}", {s: f"labels_{s}" for s in (supervision, first)}
    folders = {name: layout.labels(s) for s, name in links.items()}
    _run.require(*folders.values())
    scored, title = read_scored(layout.samples, layout.truth), f"score labels ({supervision})"
    tallies = counting.count(folders, scored, classes=len(classes), title=title)
    own = {key: tally for key, tally in tallies.items() if key[0] == link}
    scores: dict[str, Any] = {link: {}, **label_scores.labels(own)}
    counts: Counts = {}
    if supervision != first:
        name = f"mIoU_minus_{first}"
        lay_over(scores[link], label_scores.minus(tallies, link, links[first], name=name))
        counts = _compare(layout, supervision, first, len(classes))
        lay_over(scores[link], disagreement.scores(counts, other=first))
    formats.write_json(folder / "scores.json", scores)
    per_class, images = label_scores.per_class(own, classes), label_scores.per_image(own)
    formats.write_table(folder / "iou.tsv", per_class, columns=label_scores.IOU, sep="\t")
    formats.write_table(folder / "images.csv", images, columns=label_scores.IMAGES)
    formats.write_table(
        folder / "disagreement.tsv",
        disagreement.table(counts),
        columns=disagreement.COLUMNS,
        sep="\t",
    )


def _compare(layout: Layout, supervision: str, first: str, classes: int) -> Counts:
    """Count the pixels of every image that both supervisions label, by (split, id)."""
    one, other = layout.labels(supervision), layout.labels(first)
    both = [s for s in read_samples(layout.samples) if _has_label(one, s) and _has_label(other, s)]
    jobs = [(one / f"{s.id}.png", other / f"{s.id}.png", classes) for s in both]
    counts = runtime.pool_map(_count, jobs, title=f"{supervision} against {first}")
    return {(s.split, s.id): matrix for s, matrix in zip(both, counts, strict=True)}


def _has_label(folder: Path, sample: Sample) -> bool:
    return shards.exists(folder / f"{sample.id}.png")


def _count(job: tuple[Path, Path, int]) -> Int:
    one, other, classes = job
    return disagreement.count(formats.read_label(one), formats.read_label(other), classes=classes)
