"""Score the segmenters' label images, before and after the CRF, and compare them (FS%)."""

from pathlib import Path
from typing import Any

from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.core.params import lay_over
from pipeline.core.samples import read_samples
from pipeline.core.supervision import Supervision
from pipeline.scores.labels import counting, label_scores
from pipeline.scores.labels.counting import Tallies
from pipeline.scores.shared import metrics
from pipeline.scores.shared.scored import read_scored
from stages import _run

SLICES: _run.Slices = {
    "supervision": ("segment.supervision", Supervision),
}


def _write_tables(folder: Path, tallies: Tallies, classes: list[str]) -> None:
    """Every link's IoU by class and mIoU by image; the last link's once more, for the plots."""
    rows, last = label_scores.per_class(tallies, classes), label_scores.last_link(tallies)
    formats.write_table(folder / "iou.tsv", rows, columns=label_scores.IOU, sep="\t")
    formats.write_table(
        folder / "images.csv", label_scores.per_image(tallies), columns=label_scores.IMAGES
    )
    final = [r for r in rows if r[:2] == last]
    formats.write_table(folder / "iou_last.tsv", final, columns=label_scores.IOU, sep="\t")
    pairs = label_scores.confusion_pairs(tallies[last].total_CC, classes) if last else []
    formats.write_table(folder / "confusion.csv", pairs, columns=("truth", "prediction"))


def run(layout: Layout, *, supervision: tuple[str, ...]) -> None:
    """Write segment.json, and tables of each class, each image and each confusion."""
    classes = ["background", *formats.read_json(layout.classes)]
    scored = read_scored(layout.samples, layout.truth)
    folders = {f"segmenter_{s}": layout.predictions(s) for s in supervision}
    folders |= {f"refined_{s}": layout.refined(s) for s in supervision}
    what = "evaluate segment"
    tallies = counting.count(folders, scored, classes=len(classes), what=what, boundary=True)
    _write_tables(layout.score_tables("segment"), tallies, classes)
    found: dict[str, Any] = dict(label_scores.labels(tallies))
    samples = read_samples(layout.samples)
    for s in supervision:
        shown = counting.shown(layout.refined(s), samples, what="classes in refined labels")
        agreement = label_scores.agreement(shown, samples, classes[1:])
        lay_over(found.setdefault(f"refined_{s}", {}), agreement)
    weak, full = (found.get(f"refined_{s}", {}).get("val", {}) for s in ("guide", "full"))
    if "mIoU" in weak and "mIoU" in full:
        found["FS%"] = round(metrics.full_supervision_share(weak["mIoU"], full["mIoU"]), 1)
    nets = {s: formats.read_json(layout.segmenter(s) / "net.json") for s in supervision}
    run_on = {f"segmenter_{s}": net["trained_on"] for s, net in nets.items()}
    found["about"] = {"images_scored": len(scored), "run_on": run_on}
    formats.write_json(layout.scores("segment"), found)
