"""One HTML page: the scores of every link, and panels of best, worst and random images."""

import random
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

from pipeline.core import formats, shards
from pipeline.core.arrays import UInt8
from pipeline.core.layout import SCORED, Layout
from pipeline.core.maps import normalise, resize, strongest
from pipeline.core.samples import Sample, read_samples, read_truth
from pipeline.core.supervision import Supervision
from pipeline.report import drawing, links, page
from pipeline.report.config import Report
from stages import _run

SLICES: _run.Slices = {
    "report": ("report", Report),
    "source": ("saliency.source", str),
    "supervision": ("segment.supervision", Supervision),
    "random_seed": ("random_seed", int),
}


@dataclass(frozen=True)
class Show:
    """Which saliency and which segmenter the panels show."""

    source: str
    supervision: str


COLUMNS = ("image", "class maps", "seed", "saliency", "guide", "prediction", "truth", "errors")
HEIGHT_PX = 150


def _tables(layout: Layout, name: str, *, sep: str = ",") -> list[dict[str, str]]:
    """The rows on label images: of the segmenters and of the guide labels."""
    files = [layout.score_tables(group) / name for group in ("segment", "guide")]
    return [row for f in files for row in formats.read_table(f, columns=("link", "split"), sep=sep)]


def _scored_images(layout: Layout) -> list[dict[str, str]]:
    """(split, id, mIoU) of the last link that was scored."""
    rows = _tables(layout, "images.csv")
    last = next((link for link in links.FINAL if any(r["link"] == link for r in rows)), None)
    return [r for r in rows if r["link"] == last]


def _label(path: Path) -> UInt8 | None:
    return formats.read_label(path) if shards.exists(path) else None


def _tiles(
    layout: Layout, sample: Sample, show: Show, truth: dict[str, Path]
) -> list[UInt8 | None]:
    """One image through the chain, COLUMNS; None for what a link did not make."""
    image, name = formats.read_image(sample.image), f"{sample.id}.png"
    maps, tags = formats.read_maps(layout.maps / f"{sample.id}.npz")
    maps = resize(normalise(maps), height_px=image.shape[0], width_px=image.shape[1])
    salient = formats.read_grey(layout.saliency(show.source) / name)
    prediction = _label(layout.refined(show.supervision) / name)
    guide = _label(layout.labels("guide") / name)
    real = _label(truth[sample.id]) if sample.id in truth else None
    last = prediction if prediction is not None else guide
    labels = [_label(layout.seeds / name), guide, prediction, real]
    over = [None if x is None else drawing.overlay(image, x) for x in labels]
    wrong = drawing.errors(last, real) if last is not None and real is not None else None
    pictures = [
        image,
        drawing.heat(image, strongest(maps, tags)[0]),
        over[0],
        drawing.grey(salient),
        *over[1:],
        wrong,
    ]
    return [None if p is None else drawing.tile(p, height_px=HEIGHT_PX) for p in pictures]


def _picks(
    samples: list[Sample], rows: list[dict[str, str]], report: Report, seed: int
) -> list[tuple[str, str, str]]:
    """(group, id, mIoU) of the images to show; only random ones where nothing was scored."""
    split = "val" if any(r["split"] == "val" for r in rows) else "train"
    ranked = sorted(
        (r for r in rows if r["split"] == split and r["mIoU"] != "nan"),
        key=lambda r: (-float(r["mIoU"]), r["id"]),
    )
    score = {r["id"]: r["mIoU"] for r in rows}
    best = ranked[: report.best]
    worst = ranked[max(report.best, len(ranked) - report.worst) :][::-1]
    shown = {r["id"] for r in (*best, *worst)}
    rest = [s.id for s in samples if s.id not in shown and (s.split == split or not rows)]
    chosen = random.Random(seed).sample(rest, min(report.random, len(rest)))
    groups = [
        ("best", [r["id"] for r in best]),
        ("worst", [r["id"] for r in worst]),
        ("random", chosen),
    ]
    return [(group, key, score.get(key, "")) for group, keys in groups for key in keys]


def run(
    layout: Layout,
    *,
    report: Report,
    source: str,
    supervision: tuple[str, ...],
    random_seed: int,
) -> None:
    """Write index.html and its pictures."""
    samples = {s.id: s for s in read_samples(layout.samples)}
    truth = read_truth(layout.truth)
    rows = _scored_images(layout)
    show, shown = Show(source, supervision[0]), []
    picks = _picks(list(samples.values()), rows, report, random_seed)
    tiles = {key: _tiles(layout, samples[key], show, truth) for _, key, _ in picks}
    there = [any(t is not None for t in column) for column in zip(*tiles.values(), strict=True)]
    for group, key, miou in picks:
        file = f"panels/{group}_{key}.jpg"
        formats.write_image(layout.report / file, drawing.panel([*compress(tiles[key], there)]))
        shown.append(page.Shown(group, key, file, miou, " ".join(samples[key].tags)))
    html = page.render(
        scores=links.read_scores(map(layout.scores, SCORED)),
        per_class=_tables(layout, "iou.tsv", sep="\t"),
        classes=formats.read_json(layout.classes),
        shown=shown,
        columns=[*compress(COLUMNS, there)],
    )
    layout.report.mkdir(parents=True, exist_ok=True)
    (layout.report / "index.html").write_text(html, encoding="utf-8")
