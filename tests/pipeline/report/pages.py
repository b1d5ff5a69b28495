"""Pages on made-up images, with pictures beside them, for tests."""

import dataclasses
import random
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.core.samples import Sample
from pipeline.report import charts, layers, page, tallies
from pipeline.report.gallery import Shown
from pipeline.report.judging import KINDS, Facts
from tests.pipeline.report.test_headline import SCORES

CLASSES = ("cat", "dog", "cow")
ABOUT = {
    "saliency": "net", "saliency_trained_on": "boxes", "images_scored": 60,
    "run_on": {"classifier": {"device": "cpu", "precision": "float32"}},
    "temperature": {"classifier": 1.25, "segmenter_guide": None},
}  # fmt: skip


def image(i: int, *, key: str = "", classes=CLASSES, masked=True, brought=False) -> Shown:
    """Make image `i` up. Every third is of val; the prediction is missing on train.

    If the page has brought masks, every second image has one.
    """
    rng = random.Random(i)
    tags = tuple(sorted(rng.sample(classes, rng.choice((1, 1, 2)))))
    split = "val" if i % 3 == 0 else "train"
    right = round(100 * rng.random(), 1)
    values = [round(100 * rng.random(), 1), 80.0, 70.0 if masked else None, right]
    parts = (right, round(100 - right, 1), 0.0, 0.0) if masked else ()
    kind = rng.choice(KINDS[:4] if masked else KINDS[4:7])
    facts = Facts((*values, right if split == "val" else None), parts, kind, (1,))
    present = [True, True, True, True, split == "val", masked, masked]
    if brought:
        present.insert(layers.LAYERS.index("brought"), i % 2 == 0)
        apart = i * 37 % 101 / 2 if i % 2 == 0 else None
        facts = dataclasses.replace(facts, apart=apart)
    sample = Sample(key or f"img_{i:05d}", Path("x"), split, tags, 300, (400, 225)[i % 7 == 0], "")
    return Shown(sample, facts, tuple(present), ((1, 0.9), (2, 0.1)))


def content(count: int = 12, **changes) -> page.Content:
    """Make the content of a page up. It has brought masks if a segmenter learns from them."""
    brought = "brought" in changes.get("supervision", ())
    shown = [image(i, brought=brought) for i in range(count)]
    curve = [(x, 100 - x / 2) for x in range(101)]
    by_class = dict(zip(("background", *CLASSES), (90, 60, 40, 20), strict=True))
    ious = [tallies.ClassIou(name, v, v - 5, v + 5) for name, v in by_class.items()]
    pairs = [{"truth": t, "prediction": p} for t in CLASSES for p in ("background", *CLASSES)]
    fields = {
        "scores": {**SCORES, "about": ABOUT}, "supervision": ("guide", "full"), "classes": CLASSES,
        "samples": [s.sample for s in shown], "shown": shown, "class_iou": ious,
        "scored": ("refined_guide", "val"),
        "confusion": tallies.confusion(pairs, ["background", *CLASSES]),
        "charts": [charts.line_chart("Seeds", {"objects": curve, "background": curve[::2]},
                                     x_label="recall, %", y_label="precision, %", note="A note."),
                   None],
        "made_of": {"params": {"seed.train": {"epochs": 8}, "data.classes": list(CLASSES)},
                    "versions": {"torch": "2.0"}, "random_seed": 0},
    }  # fmt: skip
    return page.Content(**(fields | changes))


def write(folder: Path, made: page.Content) -> Path:
    """Write the page and the pictures of its images; equal pictures are hard links."""
    tiles = len(layers.of_page(made.supervision))
    sizes = {"photos": (1, 3), "layers": (tiles, 4), "thumbs": (tiles + 1, 3)}
    for name, (rows, channels) in sizes.items():
        (folder / name).mkdir(parents=True)
        noise = np.random.default_rng(0).integers(60, 255, (rows, 6, 8, channels), dtype=np.uint8)
        big = noise.repeat(12, axis=1).repeat(12, axis=2).reshape(-1, 96, channels)
        first = folder / name / ".first.webp"
        Image.fromarray(big).save(first)
        for s in made.shown:
            file = folder / name / f"{s.sample.id}.webp"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.hardlink_to(first)
    (folder / "index.html").write_text(page.render(made))
    return folder / "index.html"
