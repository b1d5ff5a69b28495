"""Score the seeds, the fused labels and the guide labels."""

from typing import Any

from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.core.params import lay_over
from pipeline.core.samples import read_samples
from pipeline.scores.labels import counting, label_scores
from pipeline.scores.shared.scored import read_scored
from stages import _run

SLICES: _run.Slices = {}


def run(layout: Layout) -> None:
    """Write guide.json, a table of the classes, one of the images, and their pixel counts."""
    classes = ["background", *formats.read_json(layout.classes)]
    scored = read_scored(layout.samples, layout.truth)
    folders = {"seeds": layout.seeds, "fused": layout.fused, "guide": layout.labels("guide")}
    _run.require(*folders.values())
    tallies = counting.count(folders, scored, classes=len(classes), title="evaluate guide")
    folder, per_class = layout.score_tables("guide"), label_scores.per_class(tallies, classes)
    formats.write_table(folder / "iou.tsv", per_class, columns=label_scores.IOU, sep="\t")
    formats.write_table(
        folder / "images.csv", label_scores.per_image(tallies), columns=label_scores.IMAGES
    )
    formats.write_arrays(folder / "counts.npz", label_scores.image_counts(tallies))
    scores: dict[str, Any] = {"guide": {}, **label_scores.labels(tallies)}
    samples = read_samples(layout.samples)
    classes_shown = counting.shown(layout.labels("guide"), samples, title="classes in guide labels")
    lay_over(scores["guide"], label_scores.agreement(classes_shown, samples, classes[1:]))
    scores["chance"] = label_scores.chance(tallies, "guide")
    scores["about"] = {"images_scored": len(scored)}
    formats.write_json(layout.scores("guide"), scores)
