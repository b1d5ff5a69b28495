"""Score the segmenters' labels before and after the CRF, and compare supervisions (FS%)."""

from pathlib import Path
from typing import Any

from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.core.params import lay_over
from pipeline.core.samples import read_samples
from pipeline.core.supervision import LEARNED_FROM, Supervision
from pipeline.scores.calibration import calibrated, reliability
from pipeline.scores.labels import counting, label_scores
from pipeline.scores.labels.counting import Tallies
from pipeline.scores.shared.scored import read_scored
from stages import _run

SLICES: _run.Slices = {
    "supervision": ("segment.supervision", Supervision),
}
SCORED_ELSEWHERE = {"guide", "full"}  # guide labels by evaluate_guide; full masks are the truth


def _write_tables(folder: Path, tallies: Tallies, classes: list[str]) -> None:
    """Write IoU by class, mIoU and counts by image for every link; plots' data for the last."""
    rows, last = label_scores.per_class(tallies, classes), label_scores.last_link(tallies)
    formats.write_table(folder / "iou.tsv", rows, columns=label_scores.IOU, sep="\t")
    formats.write_table(
        folder / "images.csv", label_scores.per_image(tallies), columns=label_scores.IMAGES
    )
    final = [r for r in rows if r[:2] == last]
    formats.write_table(folder / "iou_last.tsv", final, columns=label_scores.IOU, sep="\t")
    pairs = label_scores.confusion_pairs(tallies[last].total_CC, classes) if last else []
    formats.write_table(folder / "confusion.csv", pairs, columns=("truth", "prediction"))
    formats.write_arrays(folder / "counts.npz", label_scores.image_counts(tallies))


def _calibrate(
    layout: Layout, supervision: tuple[str, ...], scores: dict[str, Any]
) -> dict[str, float | None]:
    """Add each segmenter's ECE to `scores`, write its diagram, and return the temperatures."""
    samples, scored = read_samples(layout.samples), read_scored(layout.samples, layout.truth)
    temperatures = {}
    for s in supervision:
        title = f"calibration of the segmenter ({s})"
        calibration = calibrated.segmenter(layout.logits(s), samples, scored, title=title)
        for split, score in calibration.scores().items():
            lay_over(scores, {f"segmenter_{s}": {split: score}})
        file = layout.score_tables("segment") / f"reliability_{s}.tsv"
        formats.write_table(file, calibration.diagram(), columns=reliability.COLUMNS, sep="\t")
        temperatures[f"segmenter_{s}"] = calibration.rounded_temperature
    return temperatures


def run(layout: Layout, *, supervision: tuple[str, ...]) -> None:
    """Write segment.json, which also holds the scores of the labels, and its tables."""
    classes = ["background", *formats.read_json(layout.classes)]
    scored = read_scored(layout.samples, layout.truth)
    folders = {f"segmenter_{s}": layout.predictions(s) for s in supervision}
    folders |= {f"refined_{s}": layout.refined(s) for s in supervision}
    _run.require(*folders.values())
    title = "evaluate segment"
    tallies = counting.count(folders, scored, classes=len(classes), title=title, boundary=True)
    _write_tables(layout.score_tables("segment"), tallies, classes)
    scores: dict[str, Any] = dict(label_scores.labels(tallies))
    lay_over(scores, label_scores.comparisons(tallies, supervision))
    samples = read_samples(layout.samples)
    for s in supervision:
        title = "classes in refined labels"
        classes_shown = counting.shown(layout.refined(s), samples, title=title)
        agreement = label_scores.agreement(classes_shown, samples, classes[1:])
        lay_over(scores.setdefault(f"refined_{s}", {}), agreement)
    for s in set(supervision) - SCORED_ELSEWHERE:
        lay_over(scores, formats.read_json(layout.label_scores(s) / "scores.json"))
    temperature = _calibrate(layout, supervision, scores)
    nets = {s: formats.read_json(layout.segmenter(s) / "net.json") for s in supervision}
    run_on = {f"segmenter_{s}": net["trained_on"] for s, net in nets.items()}
    scores["about"] = {
        "images_scored": len(scored),
        "learned_from": {f"segmenter_{s}": LEARNED_FROM[s] for s in supervision},
        "run_on": run_on,
        "temperature": temperature,
    }
    formats.write_json(layout.scores("segment"), scores)
