"""Read and write samples.csv, which training may see, and truth.csv, which only scoring may see.

Also read what the classifier says of each sample.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.core.arrays import Float
from pipeline.core.formats import read_table, write_table


@dataclass(frozen=True)
class Sample:
    """One image as training sees it. `tags` are names from the class list."""

    id: str
    image: Path
    split: str
    tags: tuple[str, ...]
    height_px: int
    width_px: int
    digest: str


SAMPLE_COLUMNS = ("id", "image", "split", "tags", "height", "width", "digest")


def read_samples(path: Path) -> list[Sample]:
    """Read samples.csv."""
    rows = read_table(path, columns=SAMPLE_COLUMNS)
    return [
        Sample(
            r["id"],
            Path(r["image"]),
            r["split"],
            tuple(r["tags"].split()),
            int(r["height"]),
            int(r["width"]),
            r["digest"],
        )
        for r in rows
    ]


def write_samples(path: Path, samples: Iterable[Sample]) -> None:
    """Write samples.csv."""
    rows = [
        (s.id, s.image.as_posix(), s.split, " ".join(s.tags), s.height_px, s.width_px, s.digest)
        for s in samples
    ]
    write_table(path, rows, columns=SAMPLE_COLUMNS)


def read_truth(path: Path) -> dict[str, Path]:
    """Read truth.csv: the path of the mask for each id that has a mask."""
    return {r["id"]: Path(r["mask"]) for r in read_table(path, columns=("id", "mask"))}


def read_tag_scores(path: Path, classes: Sequence[str]) -> dict[str, Float]:
    """Read tag_scores.csv: the classifier's probability of each class (K,), by image id."""
    rows = read_table(path, columns=("id", *classes))
    return {r["id"]: np.array([float(r[c]) for c in classes]) for r in rows}
