"""Score seeds, fused labels and guide labels."""

from typing import Any

from pipeline import formats, params, scores, tally
from pipeline.layout import Layout
from stages import _run


def run(layout: Layout) -> None:
    """Write guide.json, and tables of each class and each image."""
    classes = ["background", *formats.read_json(layout.classes)]
    scored = tally.read_scored(layout.samples, layout.truth)
    folders = {"seeds": layout.seeds, "fused": layout.fused, "guide": layout.labels("guide")}
    tallies = tally.count(folders, scored, classes=len(classes), what="evaluate guide")
    folder, per_class = layout.score_tables("guide"), scores.per_class(tallies, classes)
    formats.write_table(folder / "iou.tsv", per_class, columns=scores.IOU, sep="\t")
    formats.write_table(folder / "images.csv", scores.per_image(tallies), columns=scores.IMAGES)
    found: dict[str, Any] = {"guide": {}, **scores.labels(tallies)}
    samples = formats.read_samples(layout.samples)
    shown = tally.shown(layout.labels("guide"), samples, what="classes in guide labels")
    params.lay_over(found["guide"], scores.agreement(shown, samples, classes[1:]))
    found["about"] = {"images_scored": len(scored)}
    formats.write_json(layout.scores("guide"), found)


if __name__ == "__main__":
    _run.main(run)
