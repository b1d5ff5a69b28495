"""Score every link of the chain against the truth; what has no truth is left out."""

from collections import defaultdict
from typing import Any

import numpy as np

from pipeline import cam, config, formats, metrics, runtime
from pipeline.arrays import VOID, UInt8
from pipeline.formats import Sample
from pipeline.layout import Layout
from pipeline.saliency import TRAINED_ON
from stages import _run

Counts = dict[tuple[str, str], Any]  # (link, split) -> pixel counts, summed over images


def _one(job: tuple[Layout, Sample, UInt8, int, config.Evaluate]) -> Counts:
    """The pixel counts of every link's file for one image."""
    layout, sample, truth, classes, links = job
    out: Counts = {}

    def add(link: str, label: UInt8) -> None:
        out[link, sample.split] = metrics.confusion(label, truth, classes=classes)

    maps, tags = formats.read_maps(layout.maps / f"{sample.id}.npz")
    maps = cam.upsample(cam.normalise(maps), height_px=truth.shape[0], width_px=truth.shape[1])
    value, label = cam.strongest(maps, tags)
    out["maps", sample.split] = metrics.seed_counts(value, label, truth, classes=classes)
    salient = formats.read_grey(layout.saliency(links.source) / f"{sample.id}.png")
    foreground = np.where(truth == VOID, VOID, truth > 0).astype(np.uint8)
    found = (salient >= links.saliency_threshold).astype(np.uint8)
    out["saliency", sample.split] = metrics.confusion(found, foreground, classes=2)
    folders = {"seeds": layout.seeds, "fused": layout.fused, "guide": layout.labels("guide")}
    for supervision in links.supervision:
        folders[f"segmenter_{supervision}"] = layout.predictions(supervision)
        folders[f"refined_{supervision}"] = layout.refined(supervision)
    for link, folder in folders.items():
        path = folder / f"{sample.id}.png"
        if path.exists():
            add(link, formats.read_label(path))
    return out


def _percent(value: float) -> float | None:
    return None if np.isnan(value) else round(100 * value, 2)


def _classifier(layout: Layout, samples: list[Sample], classes: list[str]) -> dict[str, Any]:
    """Average precision of each class on each split, over the tags."""
    rows = {r["id"]: r for r in formats.read_table(layout.tag_scores, columns=("id", *classes))}
    out: dict[str, Any] = {}
    for split in ("train", "val"):
        inside = [s for s in samples if s.split == split]
        if not inside:
            continue
        ap = [
            metrics.average_precision(
                np.array([float(rows[s.id][c]) for s in inside]),
                np.array([c in s.tags for s in inside]),
            )
            for c in classes
        ]
        out[split] = {"mAP": _percent(float(np.nanmean(ap)))}
    return out


def _link_scores(total: Counts, links: config.Evaluate) -> dict[str, Any]:
    scores: dict[str, Any] = defaultdict(dict)
    for (link, split), counts in sorted(total.items()):
        if link == "maps":
            score = metrics.seed_score(counts)
            best, threshold = score.best
            scores[link][split] = {
                "best_mIoU": _percent(best),  # read off the ground truth: a diagnosis
                "best_threshold": threshold,
                "mP": _percent(score.mp),
            }
        elif link == "saliency":
            scores[link][split] = {"IoU": _percent(float(metrics.iou(counts)[1]))}
        else:
            scores[link][split] = {"mIoU": _percent(metrics.mean_iou(counts))}
    return dict(scores)


def _tables(layout: Layout, total: Counts, names: list[str]) -> None:
    """Curves, per-class IoU and confusion matrices as TSV for `dvc plots`."""
    rows, pairs, curve = [], [], []
    for (link, split), counts in sorted(total.items()):
        if link == "maps":
            s = metrics.seed_score(counts)
            curve += [
                (split, f"{t:.2f}", *(f"{100 * v:.2f}" for v in values))
                for t, *values in zip(
                    metrics.THRESHOLDS,
                    s.miou_T,
                    s.fg_precision_T,
                    s.fg_recall_T,
                    s.bg_precision_T,
                    s.bg_recall_T,
                    strict=True,
                )
            ]
        elif link != "saliency":
            each = metrics.iou(counts)
            rows += [(link, split, n, f"{100 * v:.2f}") for n, v in zip(names, each, strict=True)]
            if link.startswith("refined_guide"):
                pairs = [
                    (names[i], [*names, "void"][j])
                    for i in range(len(names))
                    for j in range(len(names) + 1)
                    for _ in range(round(1000 * counts[i, j] / max(1, counts[i].sum())))
                ]
    folder = layout.score_tables
    formats.write_table(
        folder / "iou_per_class.tsv", rows, sep="\t", columns=("link", "split", "class", "iou")
    )
    formats.write_table(
        folder / "seed_curve.tsv",
        curve,
        sep="\t",
        columns=(
            "split",
            "threshold",
            "mIoU",
            "fg_precision",
            "fg_recall",
            "bg_precision",
            "bg_recall",
        ),
    )
    formats.write_table(folder / "confusion.csv", pairs, columns=("truth", "prediction"))


def _per_image(counts: list[tuple[Sample, Counts]], layout: Layout) -> None:
    """MIoU of each image after the last link that has one: the report picks by it."""
    rows = []
    for sample, each in counts:
        last = [v for (link, _), v in each.items() if link in ("guide", "refined_guide")]
        rows.append((sample.id, sample.split, f"{100 * metrics.mean_iou(last[-1]):.2f}"))
    formats.write_table(
        layout.score_tables / "per_image.csv", rows, columns=("id", "split", "mIoU")
    )


def run(layout: Layout, **links_of: Any) -> None:
    """Write scores.json and the tables behind it."""
    links = config.Evaluate(**links_of)
    classes: list[str] = formats.read_json(layout.classes)
    samples, truth = formats.read_samples(layout.samples), formats.read_truth(layout.truth)
    scored = [s for s in samples if s.id in truth]
    jobs = [(layout, s, formats.read_label(truth[s.id]), 1 + len(classes), links) for s in scored]
    counts = list(runtime.pool_map(_one, jobs, what="evaluate"))
    total: Counts = defaultdict(int)
    for each in counts:
        for key, value in each.items():
            total[key] = total[key] + value
    scores: dict[str, Any] = {
        "classifier": _classifier(layout, samples, classes),
        **_link_scores(total, links),
        "about": {
            "saliency": links.source,
            "saliency_trained_on": TRAINED_ON[links.source],
            "images_scored": len(scored),
            "run_on": formats.read_json(layout.seed_model / "net.json")["trained_on"],
        },
    }
    weak, full = (scores.get(f"refined_{s}", {}).get("val", {}) for s in ("guide", "full"))
    if weak and full:
        scores["FS%"] = round(metrics.full_supervision_share(weak["mIoU"], full["mIoU"]), 1)
    _tables(layout, total, ["background", *classes])
    _per_image(list(zip(scored, counts, strict=True)), layout)
    formats.write_json(layout.scores, scores)


if __name__ == "__main__":
    _run.main(
        run,
        saliency_threshold=("fuse.saliency_threshold", float),
        source=("saliency.source", str),
        supervision=("segment.supervision", config.Supervision),
    )
