"""Read the tables of the scoring stages and the losses of the trainings for the page.

A table that is not there gives nothing: without masks, for example, there are no curves.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.core import formats
from pipeline.core.layout import SCORED, Layout
from pipeline.core.params import lay_over
from pipeline.core.provenance import record_file
from pipeline.core.samples import Sample
from pipeline.report import charts, tallies
from pipeline.report.charts import Chart, points
from pipeline.report.gallery import Shown
from pipeline.report.links import FINAL
from pipeline.report.page import Content
from pipeline.report.tallies import ClassIou

CURVE = ("threshold", "fg_recall", "fg_precision", "bg_recall", "bg_precision")
BOUNDS = (0.0, 100.0)
ROUNDS = "If the training has denoising rounds, each of them begins with a new network."
LABELS = {"x_label": "recall, %", "y_label": "precision, %", "x_range": BOUNDS, "y_range": BOUNDS}


def read(
    layout: Layout,
    scores: Mapping[str, Any],
    *,
    source: str,
    supervision: Sequence[str],
    samples: Sequence[Sample],
    shown: Sequence[Shown],
) -> Content:
    """Read all that the page shows."""
    classes: list[str] = formats.read_json(layout.classes)
    scored, class_iou = _class_iou(layout)
    pairs = _table(layout.score_tables("segment") / "confusion.csv", "truth", "prediction", sep=",")
    return Content(
        scores=scores,
        supervision=supervision,
        classes=classes,
        samples=samples,
        shown=shown,
        class_iou=class_iou,
        scored=scored,
        confusion=tallies.confusion(pairs, ["background", *classes]),
        charts=[*_precision_recall(layout), *_losses(layout, source, supervision),
                _reliability(layout, scores["about"], supervision)],
        made_of=made_of(layout),
    )  # fmt: skip


def _table(file: Path, *columns: str, sep: str = "\t") -> list[dict[str, str]]:
    return formats.read_table(file, columns=columns, sep=sep) if file.exists() else []


def _class_iou(layout: Layout) -> tuple[tuple[str, str] | None, list[ClassIou]]:
    """Read the IoU of each class of the last link that was scored, on val if val was scored."""
    for group in ("segment", "guide"):
        folder = layout.score_tables(group)
        rows = _table(folder / "iou.tsv", "link", "split", "class", "iou")
        for link in FINAL:
            for split in ("val", "train"):
                chosen = [r for r in rows if (r["link"], r["split"]) == (link, split)]
                if chosen:
                    name = f"{link}.{split}.mIoU"
                    counts = formats.read_arrays(folder / "counts.npz", match=name)
                    return (link, split), tallies.class_iou(chosen, counts.get(name))
    return None, []


def _precision_recall(layout: Layout) -> list[Chart | None]:
    """Draw precision over recall of the seeds and of saliency, over all thresholds."""
    seeds = _table(layout.score_tables("seed") / "curve.tsv", *CURVE)
    saliency = _table(layout.score_tables("saliency") / "curve.tsv", "recall", "precision")
    by_kind = {
        "objects": points(seeds, "fg_recall", "fg_precision"),
        "background": points(seeds, "bg_recall", "bg_precision"),
    }
    note = "Each point is a threshold on the class maps. Objects: the mean over the classes."
    lines = {"objects of all classes": points(saliency, "recall", "precision")}
    return [
        charts.line_chart("Seeds: precision and recall", by_kind, note=note, **LABELS),  # type: ignore[arg-type]
        charts.line_chart("Saliency: precision and recall", lines, **LABELS),  # type: ignore[arg-type]
    ]


def _losses(layout: Layout, source: str, supervision: Sequence[str]) -> list[Chart | None]:
    """Draw the losses of the classifier, of our saliency network, and of each segmenter.

    Only some sources train a saliency network. So dvc.yaml cannot name it as a dependency of the
    page, but its maps are one.
    """
    nets = {"classifier": layout.seed_model}
    nets |= {"saliency network": layout.saliency_model} if source == "net" else {}
    nets |= {f"segmenter, {s}": layout.segmenter(s) for s in supervision}
    drawn = []
    for name, folder in nets.items():
        rows = _table(folder / "loss.tsv", "epoch", "loss")
        lines = {
            title: points(rows, "epoch", c) for title, c in (("train", "loss"), ("val", "val_loss"))
        }
        axes = {"x_label": "epoch", "y_label": "loss", "note": ROUNDS if "saliency" in name else ""}
        drawn.append(charts.line_chart(f"Loss: {name}", lines, **axes))  # type: ignore[arg-type]
    return drawn


def _reliability(
    layout: Layout, about: Mapping[str, Any], supervision: Sequence[str]
) -> Chart | None:
    """Draw how often answers are right, over their confidence."""
    files = {"classifier": layout.score_tables("seed") / "reliability.tsv"}
    files |= {
        f"segmenter_{s}": layout.score_tables("segment") / f"reliability_{s}.tsv"
        for s in supervision
    }
    lines = {
        net: points(_table(file, "confidence", "accuracy"), "confidence", "accuracy")
        for net, file in files.items()
    }
    fitted = {net: t for net, t in about.get("temperature", {}).items() if t is not None}
    note = (
        "A calibrated network is right as often as its confidence says: it lies on the diagonal. "
        "An answer of the classifier is an image and a class, one of a segmenter is a pixel. "
    ) + (f"Temperatures, fitted on every fifth train image: {_listed(fitted)}." if fitted else "")
    return charts.line_chart(
        "Reliability", lines, x_label="confidence, %", y_label="right, %", x_range=BOUNDS,
        y_range=BOUNDS, diagonal=True, note=note,
    )  # fmt: skip


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def made_of(layout: Layout) -> dict[str, Any]:
    """Read what made the scores, from the records of the scoring stages; {} without records.

    The git commit is left out: a page does not change with it.
    """
    found: dict[str, Any] = {}
    for group in SCORED:
        record = record_file(layout.made_of, layout.scores(group))
        if record.exists():
            lay_over(found, formats.read_json(record))
    return {k: found[k] for k in ("data", "params", "random_seed", "versions") if k in found}
