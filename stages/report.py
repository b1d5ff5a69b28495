"""Write one HTML page: the scores of every link, and panels of best, worst and random images."""

from itertools import compress
from pathlib import Path

from pipeline.core import formats, shards
from pipeline.core.arrays import Float, UInt8
from pipeline.core.layout import SCORED, Layout
from pipeline.core.samples import Sample, read_samples, read_tag_scores, read_truth
from pipeline.core.supervision import Supervision
from pipeline.report import drawing, links, page
from pipeline.report.config import Report
from pipeline.report.picks import most_probable, pick
from stages import _run

SLICES: _run.Slices = {
    "report": ("report", Report),
    "source": ("saliency.source", str),
    "supervision": ("segment.supervision", Supervision),
    "random_seed": ("random_seed", int),
}
HEIGHT_PX = 150  # of a panel


def run(
    layout: Layout,
    *,
    report: Report,
    source: str,
    supervision: tuple[str, ...],
    random_seed: int,
) -> None:
    """Write index.html and its pictures. They show the first supervision."""
    samples, truth = {s.id: s for s in read_samples(layout.samples)}, read_truth(layout.truth)
    _run.require(*map(layout.scores, SCORED))
    picks = pick([*samples.values()], _scored_images(layout), report, random_seed=random_seed)
    chains = (_read_chain(layout, samples[p.id], source, supervision[0], truth) for p in picks)
    tiles = [drawing.tiles(chain, height_px=HEIGHT_PX) for chain in chains]
    filled = [any(t is not None for t in column) for column in zip(*tiles, strict=True)]
    classes: list[str] = formats.read_json(layout.classes)
    probability = read_tag_scores(layout.tag_scores, classes)
    panels = []
    for picked, row in zip(picks, tiles, strict=True):
        file, tags = f"panels/{picked.group}_{picked.id}.jpg", " ".join(samples[picked.id].tags)
        formats.write_image(layout.report / file, drawing.panel([*compress(row, filled)]))
        predicted = _predicted(probability[picked.id], classes)
        panels.append(page.Shown(picked.group, picked.id, file, picked.miou, tags, predicted))
    html = page.render(
        scores=links.read_scores(map(layout.scores, SCORED)),
        per_class=_read_tables(layout, "iou.tsv", sep="\t"),
        classes=classes,
        shown=panels,
        columns=[*compress(drawing.TILES, filled)],
        reliability=_read_reliability(layout, supervision[0]),
    )
    formats.replace_file(layout.report / "index.html", lambda f: f.write(html.encode()))


def _predicted(probability_K: Float, classes: list[str]) -> str:
    """Name the most probable classes with their probabilities."""
    return ", ".join(f"{classes[k]} {probability_K[k]:.2f}" for k in most_probable(probability_K))


def _read_tables(layout: Layout, name: str, *, sep: str = ",") -> list[dict[str, str]]:
    """Read the rows of a table on labels: those of the segmenters and those of the guide labels."""
    files = [layout.score_tables(group) / name for group in ("segment", "guide")]
    return [row for f in files for row in formats.read_table(f, columns=("link", "split"), sep=sep)]


def _read_reliability(layout: Layout, supervision: str) -> dict[str, list[dict[str, str]]]:
    """Read the reliability diagrams of the classifier and of one segmenter."""
    files = {
        "classifier": layout.score_tables("seed") / "reliability.tsv",
        f"segmenter_{supervision}": layout.score_tables("segment")
        / f"reliability_{supervision}.tsv",
    }
    columns = ("confidence", "accuracy", "count")
    return {net: formats.read_table(f, columns=columns, sep="\t") for net, f in files.items()}


def _scored_images(layout: Layout) -> list[dict[str, str]]:
    """Read the mIoU of every image, of the last link that was scored."""
    rows = _read_tables(layout, "images.csv")
    last = next((link for link in links.FINAL if any(r["link"] == link for r in rows)), None)
    return [r for r in rows if r["link"] == last]


def _read_chain(
    layout: Layout, sample: Sample, source: str, supervision: str, truth: dict[str, Path]
) -> drawing.Chain:
    """Read what the links of the chain made of one image."""
    name = f"{sample.id}.png"
    maps, tags = formats.read_maps(layout.maps / f"{sample.id}.npz")
    return drawing.Chain(
        image_HW3=formats.read_image(sample.image),
        maps_Khw=maps,
        tags_K=tags,
        saliency_HW=formats.read_grey(layout.saliency(source) / name),
        seed_HW=_read_label(layout.seeds / name),
        guide_HW=_read_label(layout.labels("guide") / name),
        prediction_HW=_read_label(layout.refined(supervision) / name),
        truth_HW=_read_label(truth[sample.id]) if sample.id in truth else None,
    )


def _read_label(path: Path) -> UInt8 | None:
    return formats.read_label(path) if shards.exists(path) else None
