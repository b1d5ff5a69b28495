"""Rows of a table compared image by image."""

import numpy as np
import pytest

from app import paired, tables
from pipeline.scores.shared import metrics

PATH = "refined_*.val.mIoU"
SPEC = {
    "title": "",
    "rows": {"g1": "G1", "g2": "G2", "full": "full masks"},
    "columns": {"mIoU": PATH, "FS%": "share of full"},
    "reference": "g2",
}
TABLE = tables.read("T9", SPEC)
IDS = [f"i{n}" for n in range(20)]


def counts(seed, wrong):
    """The counts of 20 images; `wrong` says how many pixels of a class are mistaken."""
    hard = np.random.default_rng(seed).integers(1, 40, 20)
    miss = (wrong * hard).astype(int)
    zero, size = np.zeros_like(hard), 200
    return np.stack([size - miss, miss, zero, miss, size - miss, zero], axis=1).reshape(20, 2, 3)


WRONG = {"g1": 1.2, "g2": 1.0, "full": 0.5}


def cells(seeds=(0,), data=None):
    return [{"random_seed": s, "data": (data or {}).get(s, "d")} for s in seeds]


def read(row, seed, path):
    assert path == PATH
    name = "refined_full" if row == "full" else "refined_guide"
    return {f"{name}.val.mIoU": counts(seed, WRONG[row]), f"{name}.val.mIoU.ids": np.array(IDS)}


RECORDS = {row: cells() for row in SPEC["rows"]}


def miou(row, seed=0):
    return metrics.mean_iou(counts(seed, WRONG[row]).sum(axis=0))


def test_one_seed_gives_the_paired_interval_of_metrics():
    found = paired.differences(TABLE, RECORDS, read)
    assert set(found) == {("g1", "mIoU"), ("full", "mIoU")}  # FS% has no counts of its own
    value = found["g1", "mIoU"]
    assert value.mean == pytest.approx(100 * (miou("g1") - miou("g2")))
    ends = metrics.difference_interval(
        counts(0, WRONG["g1"]), counts(0, WRONG["g2"]), rng=np.random.default_rng(0)
    )
    assert value.interval == pytest.approx(100 * np.array(ends)) and value.interval[1] < 0


def test_shares_have_their_interval():
    found = paired.shares(TABLE, RECORDS, read)
    assert set(found) == {("g1", "FS%"), ("g2", "FS%")}
    value = found["g1", "FS%"]
    assert value.mean == pytest.approx(100 * miou("g1") / miou("full"))
    ends = metrics.full_supervision_interval(
        counts(0, WRONG["g1"]), counts(0, WRONG["full"]), rng=np.random.default_rng(0)
    )
    assert value.interval == pytest.approx(100 * np.array(ends))


@pytest.mark.parametrize("data", [{}, {1: "other"}])
def test_several_seeds_are_averaged_draw_by_draw(data):
    """On the same images each draw is shared by the seeds; on other images it is not."""
    records = {"g1": cells((0, 1), data), "g2": cells((0, 1, 2), data)}
    pair = paired.compare(records, read, PATH, rows=("g1", "g2"))
    assert pair.one == pytest.approx((miou("g1", 0) + miou("g1", 1)) / 2)
    rng = np.random.default_rng(0)
    first = metrics.draw_images(20, rng=rng)
    draws = [first, metrics.draw_images(20, rng=rng) if data else first]
    each = [metrics.resampled_mean_iou(counts(s, WRONG["g2"]), draws[s]) for s in (0, 1)]
    np.testing.assert_allclose(pair.other_R, np.mean(each, axis=0))


def test_rows_on_other_images_are_not_compared():
    def other_ids(row, seed, path):
        arrays = read(row, seed, path)
        return {k: v[::-1] if row == "g1" and k.endswith(".ids") else v for k, v in arrays.items()}

    pairs = (
        (RECORDS, other_ids),
        (RECORDS, lambda row, *rest: {} if row == "g1" else read(row, *rest)),
        ({"g1": cells(data={0: "other"}), "g2": cells()}, read),
        ({"g1": cells((1,)), "g2": cells((0,))}, read),
        ({"g1": [], "g2": cells()}, read),
    )
    for records, reader in pairs:
        assert paired.compare(records, reader, PATH, rows=("g1", "g2")) is None
    assert paired.compare(RECORDS, read, PATH, rows=("g1", "g2")) is not None


def test_a_table_without_a_reference_has_no_differences():
    table = tables.read("T9", {k: v for k, v in SPEC.items() if k != "reference"})
    assert paired.differences(table, RECORDS, read) == {}
