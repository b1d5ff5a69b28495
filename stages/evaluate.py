"""Score every link of the chain against the truth; what has no truth is left out."""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline import cam, config, formats, metrics, runtime, scores
from pipeline.arrays import VOID
from pipeline.formats import Sample
from pipeline.layout import Layout
from pipeline.scores import Counts
from stages import _run

Job = tuple[Layout, Sample, Path, int, config.Evaluate]


def _label_folders(layout: Layout, links: config.Evaluate) -> dict[str, Path]:
    folders = {"seeds": layout.seeds, "fused": layout.fused, "guide": layout.labels("guide")}
    for supervision in links.supervision:
        folders[f"segmenter_{supervision}"] = layout.predictions(supervision)
        folders[f"refined_{supervision}"] = layout.refined(supervision)
    return folders


def _one(job: Job) -> Counts:
    """The pixel counts of every link's file for one image."""
    layout, sample, mask, classes, links = job
    truth, split, out = formats.read_label(mask), sample.split, {}
    maps, tags = formats.read_maps(layout.maps / f"{sample.id}.npz")
    maps = cam.upsample(cam.normalise(maps), height_px=truth.shape[0], width_px=truth.shape[1])
    value, label = cam.strongest(maps, tags)
    out["maps", split] = metrics.seed_counts(value, label, truth, classes=classes)
    salient = formats.read_grey(layout.saliency(links.source) / f"{sample.id}.png")
    foreground = np.where(truth == VOID, VOID, truth > 0).astype(np.uint8)
    for link, threshold in (("saliency", links.saliency_threshold), ("saliency_half", 0.5)):
        found = (salient >= threshold).astype(np.uint8)
        out[link, split] = metrics.confusion(found, foreground, classes=2)
    for link, folder in _label_folders(layout, links).items():
        if (path := folder / f"{sample.id}.png").exists():
            label = formats.read_label(path)
            out[link, split] = metrics.confusion(label, truth, classes=classes)
    return out


def _count(layout: Layout, jobs: list[Job]) -> Counts:
    """The counts of all images; each image's own mIoU goes into a table."""
    total: Counts = {}
    rows = []
    each_image = runtime.pool_map(_one, jobs, what="evaluate")
    for (_, sample, *_), each in zip(jobs, each_image, strict=True):
        scores.add(total, each)
        last = scores.last_link(each)
        miou = metrics.mean_iou(each[last]) if last else float("nan")
        rows.append((sample.id, sample.split, f"{100 * miou:.2f}"))
    columns = ("id", "split", "mIoU")
    formats.write_table(layout.score_tables / "per_image.csv", rows, columns=columns)
    return total


def _classifier(layout: Layout, samples: list[Sample], classes: list[str]) -> dict[str, Any]:
    rows = formats.read_table(layout.tag_scores, columns=("id", *classes))
    probability = {r["id"]: [float(r[c]) for c in classes] for r in rows}
    splits = {s.split for s in samples}
    tags = {split: {s.id: s.tags for s in samples if s.split == split} for split in splits}
    return {s: {"mAP": scores.classifier(probability, tags[s], classes)} for s in sorted(splits)}


def _tables(layout: Layout, total: Counts, names: list[str]) -> None:
    folder, last = layout.score_tables, scores.last_link(total)
    rows = scores.per_class(total, names)
    columns = ("link", "split", "class", "iou")
    formats.write_table(folder / "iou_by_link.tsv", rows, columns=columns, sep="\t")
    final = [r[2:] for r in rows if r[:2] == last]
    formats.write_table(folder / "iou_per_class.tsv", final, columns=columns[2:], sep="\t")
    curve = scores.curve(total["maps", last[1]]) if last else []
    formats.write_table(folder / "seed_curve.tsv", curve, columns=scores.CURVE, sep="\t")
    pairs = scores.confusion_pairs(total[last], names) if last else []
    formats.write_table(folder / "confusion.csv", pairs, columns=("truth", "prediction"))


def run(layout: Layout, **links_of: Any) -> None:
    """Write scores.json and the tables behind it."""
    links = config.Evaluate(**links_of)
    classes: list[str] = formats.read_json(layout.classes)
    samples, truth = formats.read_samples(layout.samples), formats.read_truth(layout.truth)
    scored = [s for s in samples if s.id in truth]
    total = _count(layout, [(layout, s, truth[s.id], 1 + len(classes), links) for s in scored])
    _tables(layout, total, ["background", *classes])
    folders = {"classifier": layout.seed_model}
    folders |= {f"segmenter_{s}": layout.segmenter(s) for s in links.supervision}
    found: dict[str, Any] = {
        "classifier": _classifier(layout, samples, classes),
        **scores.by_link(total),
        "about": {
            "saliency": links.source,
            "saliency_trained_on": config.TRAINED_ON[links.source],
            "images_scored": len(scored),
            "run_on": {
                name: formats.read_json(folder / "net.json")["trained_on"]
                for name, folder in folders.items()
            },
        },
    }
    weak, full = (found.get(f"refined_{s}", {}).get("val", {}) for s in ("guide", "full"))
    if weak and full:
        found["FS%"] = round(metrics.full_supervision_share(weak["mIoU"], full["mIoU"]), 1)
    formats.write_json(layout.scores, found)


if __name__ == "__main__":
    _run.main(
        run,
        saliency_threshold=("fuse.saliency_threshold", float),
        source=("saliency.source", str),
        supervision=("segment.supervision", config.Supervision),
    )
