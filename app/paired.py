"""Compare the rows of a table image by image: paired bootstraps over the cells' pixel counts.

Shapes: C classes with the background, N images, R resamples.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from app import tables
from pipeline.core.arrays import Float, Int
from pipeline.scores.shared import metrics

Arrays = Mapping[str, Any]  # as `label_scores.image_counts` names them
Read = Callable[[str, int, str], Arrays]  # row, random seed, path -> the counts behind that score


@dataclass(frozen=True)
class Pair:
    """The mIoU of two rows on the same images, as means over the random seeds that both ran."""

    one: float
    other: float
    one_R: Float
    other_R: Float


def differences(
    table: tables.Table, records: tables.Records, read: Read
) -> dict[tuple[str, str], tables.Value]:
    """Return the difference of each row to the reference row, in every column with counts."""
    out = {}
    others = [row for row in table.rows if table.reference and row != table.reference]
    for title, path in table.columns.items():
        if path.startswith(tables.SHARE):
            continue
        for row in others:
            if pair := compare(records, read, path, rows=(row, table.reference)):
                apart = 100 * (pair.one - pair.other)
                ends = metrics.percentiles(100 * (pair.one_R - pair.other_R))
                out[row, title] = tables.Value(apart, interval=ends)
    return out


def shares(
    table: tables.Table, records: tables.Records, read: Read
) -> dict[tuple[str, str], tables.Value]:
    """Return each "share of ROW", such as FS%, with its interval."""
    out = {}
    for title in table.columns:
        if not table.columns[title].startswith(tables.SHARE):
            continue
        before, whole = tables.share_of(table, title)
        for row in table.rows:
            path = table.columns[before]
            if row != whole and (pair := compare(records, read, path, rows=(row, whole))):
                share = metrics.full_supervision_share(pair.one, pair.other)
                share_R = metrics.full_supervision_share(pair.one_R, pair.other_R)
                ends = metrics.percentiles(100 * share_R)
                out[row, title] = tables.Value(100 * float(share), interval=ends)
    return out


def compare(
    records: tables.Records, read: Read, path: str, *, rows: tuple[str, str]
) -> Pair | None:
    """Score two rows on the same resamples of the images.

    Cells of different data, as of generated images under another random seed, have resamples of
    their own.

    Returns:
        None if the rows have no random seed in common, or if the images of a seed differ.
    """
    one, other = ({c["random_seed"]: c for c in records.get(row, ())} for row in rows)
    rng, times, scores = np.random.default_rng(0), dict[str, Int](), list[tuple[Any, ...]]()
    for seed in sorted(one.keys() & other.keys()):
        counts = _shared_counts(*(read(row, seed, path) for row in rows))
        data = one[seed]["data"]
        if counts is None or data != other[seed]["data"]:
            return None
        if data not in times:
            times[data] = metrics.draw_images(len(counts[0]), rng=rng)
        whole = [metrics.mean_iou(c.sum(axis=0)) for c in counts]
        scores.append((*whole, *(metrics.resampled_mean_iou(c, times[data]) for c in counts)))
    return Pair(*(np.mean(part, axis=0) for part in zip(*scores, strict=True))) if scores else None


def _shared_counts(one: Arrays, other: Arrays) -> tuple[Int, Int] | None:
    """Return the counts (N, C, C + 1) of both cells if they are of the same images."""
    counts, ids = [], []
    for arrays in (one, other):
        names = [name for name in arrays if not name.endswith(".ids")]
        if len(names) != 1:
            return None
        counts.append(arrays[names[0]])
        ids.append(arrays[f"{names[0]}.ids"])
    return (counts[0], counts[1]) if np.array_equal(*ids) else None
