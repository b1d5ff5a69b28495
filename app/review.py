"""Which images are most worth a person's minute, and tasks for an annotation tool."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from app.exports.masks import Exported, export_masks
from app.exports.source import BACKGROUND, RUN, Masked, Source
from pipeline.core import formats, runtime, shards
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.samples import Sample, read_samples
from pipeline.params import Params
from pipeline.scores.review import ranking

COLUMNS = ("rank", "id", "split", "priority", "reason", *ranking.REASONS)
TOOLS = ("labelstudio", "cvat")


@dataclass(frozen=True)
class Ranked:
    """An image, its priority in percent, the reason in words, and its measures."""

    sample: Sample
    priority: float
    reason: str
    measures: dict[str, float]


def rank(layout: Layout, params: Params, *, split: str = "") -> list[Ranked]:
    """Rank the images of the last run, the one most worth a look first.

    Images with a mask in `brought.corrections` are left out: a person has looked at them.

    Args:
        layout: the project's paths.
        params: which saliency, threshold and segmenter the chain used.
        split: train or val; both if it is empty.

    Raises:
        UserError: the chain has not run, no image has this split, or all of them are corrected.
    """
    samples = [s for s in read_samples(layout.samples) if s.split in (split or s.split)]
    if not samples:
        raise UserError(f"no image of split '{split}'; choose train or val")
    corrections = params.brought.corrections
    samples = [s for s in samples if not (corrections / f"{s.id}.png").exists()]
    if not samples:
        raise UserError(f"every image has a mask in {corrections}; nothing is left to review")
    if not shards.ids(layout.labels("guide")):
        raise UserError(f"{layout.labels('guide')}: holds no guide labels; {RUN}")
    classes = 1 + len(formats.read_json(layout.classes))
    measure = partial(_measure, layout=layout, params=params, classes=classes)
    measures = list(runtime.pool_map(measure, samples, title="review"))
    return [
        Ranked(samples[i], round(100 * priority, 1), ranking.REASONS[name], measures[i])
        for i, priority, name in ranking.rank(measures)
    ]


def _measure(sample: Sample, *, layout: Layout, params: Params, classes: int) -> dict[str, float]:
    """Measure how much the links disagree about one image, as far as it has their files."""
    name, out = f"{sample.id}.png", dict[str, float]()
    segmenter = params.segment.supervision[0]
    guide = formats.read_label(layout.labels("guide") / name)
    saliency = formats.read_grey(layout.saliency(params.saliency.source) / name)
    salient = saliency >= params.fuse.saliency_threshold
    seed = formats.read_label(layout.seeds / name)
    out["seed_saliency"] = ranking.apart(ranking.foreground(seed), salient)
    out["saliency_guide"] = ranking.apart(salient, ranking.foreground(guide))
    if shards.exists(path := layout.refined(segmenter) / name):
        label = formats.read_label(path)
        out["guide_prediction"] = ranking.labels_apart(label, guide, classes=classes)
    if shards.exists(path := layout.logits(segmenter) / f"{sample.id}.npz"):
        out["entropy"] = ranking.entropy(formats.read_logits(path))
    return {key: round(value, 4) for key, value in out.items()}


def check_output(path: Path | None, *, name: str) -> None:
    """Check, before the images are ranked, what `write` or `export` will get.

    Args:
        path: the file or the folder to write, if there is one.
        name: the annotation tool; "" for none.

    Raises:
        UserError: the tool is unknown, or the file's suffix is neither .csv nor .json.
    """
    if name and name not in TOOLS:
        raise UserError(f"no format '{name}'; choose {' or '.join(TOOLS)}")
    if path and not name and path.suffix not in (".csv", ".json"):
        raise UserError(f"{path}: end the name with .csv or .json, or give --format for a folder")


def write(path: Path, ranked: Sequence[Ranked]) -> None:
    """Write the ranking as a table (.csv) or as JSON (.json)."""
    rows = [
        (i, r.sample.id, r.sample.split, r.priority, r.reason, *_values(r))
        for i, r in enumerate(ranked, 1)
    ]
    if path.suffix == ".csv":
        formats.write_table(path, rows, columns=COLUMNS)
    else:
        formats.write_json(path, [dict(zip(COLUMNS, row, strict=True)) for row in rows])


def _values(ranked: Ranked) -> list[float | None]:
    return [ranked.measures.get(name) for name in ranking.REASONS]


def export(
    layout: Layout, ranked: Sequence[Ranked], folder: Path, *, name: str, segmenter: str
) -> Exported:
    """Write images as tasks for an annotation tool, with our masks for a person to correct.

    The mask of an image is the segmenter's; for an image that was not predicted, the guide label.

    Args:
        layout: the project's paths.
        ranked: the images, in the order of the tasks.
        folder: a new folder.
        name: one of TOOLS.
        segmenter: which supervision's segmenter.

    Raises:
        UserError: an export fails.
    """
    images = []
    for sample in (r.sample for r in ranked):
        mask = layout.refined(segmenter) / f"{sample.id}.png"
        if not shards.exists(mask):
            mask = layout.labels("guide") / f"{sample.id}.png"
        images.append(Masked(sample.id, sample.image, mask, sample.split))
    classes = (BACKGROUND, *formats.read_json(layout.classes))
    return export_masks(Source(classes, tuple(images)), folder, name=name)
