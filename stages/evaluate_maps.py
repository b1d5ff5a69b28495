"""Score the labels from the class maps of predicted tags."""

from typing import Any

from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.scores.labels import counting, label_scores
from pipeline.scores.shared.scored import read_scored
from stages import _run

SLICES: _run.Slices = {}


def run(layout: Layout) -> None:
    """Write maps.json, and a table of the classes and one of the images."""
    classes = ["background", *formats.read_json(layout.classes)]
    scored = read_scored(layout.samples, layout.truth)
    folders = {"map_labels": layout.map_labels}
    tallies = counting.count(folders, scored, classes=len(classes), title="evaluate maps")
    folder, per_class = layout.score_tables("maps"), label_scores.per_class(tallies, classes)
    formats.write_table(folder / "iou.tsv", per_class, columns=label_scores.IOU, sep="\t")
    formats.write_table(
        folder / "images.csv", label_scores.per_image(tallies), columns=label_scores.IMAGES
    )
    scores: dict[str, Any] = dict(label_scores.labels(tallies))
    scores["about"] = {"images_scored": sum(len(tally.ids) for tally in tallies.values())}
    formats.write_json(layout.scores("maps"), scores)
