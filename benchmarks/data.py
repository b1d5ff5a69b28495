"""The data of the measurements: generated photographs in a temporary project."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.core.samples import Sample, write_samples
from pipeline.dataset import shapes

CLASSES = ["disc", "square", "triangle", "cross", "train"]


@contextlib.contextmanager
def project(
    count: int, *, size_px: int = 500, seed: int = 0
) -> Iterator[tuple[Layout, list[Sample]]]:
    """Make a temporary project with `count` train images, their masks and samples.csv."""
    with TemporaryDirectory(prefix="benchmark") as name:
        layout, samples, truth = Layout(Path(name)), [], []
        scenes = shapes.labelled(count, size_px=size_px, random_seed=seed, part=0)
        for i, scene in enumerate(scenes):
            image = layout.shapes / "images" / f"{i:05d}.jpg"
            mask = layout.labels("full") / f"{i:05d}.png"
            formats.write_image(image, scene.image)
            formats.write_label(mask, scene.label)
            height, width = scene.label.shape
            samples.append(Sample(image.stem, image, "train", scene.tags, height, width, ""))
            truth.append((image.stem, mask.as_posix()))
        write_samples(layout.samples, samples)
        formats.write_table(layout.truth, truth, columns=("id", "mask"))
        formats.write_json(layout.classes, CLASSES)
        yield layout, samples


def cues(label_HW: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Imitate a network's seeds (parts of the objects) and saliency (blurred foreground)."""
    import cv2

    known = np.where(label_HW == 255, 0, label_HW)
    keep = cv2.resize(rng.random((9, 9)).astype(np.float32), label_HW.shape[::-1]) > 0.5
    seeds = np.where(keep, known, 0).astype(np.uint8)
    salient = cv2.GaussianBlur((known > 0).astype(np.float32), (0, 0), 8)
    return seeds, salient


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Use `folder` as the working folder."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
