import dataclasses

import numpy as np
import pytest

from pipeline.core.arrays import VOID
from pipeline.scores.seed import seed_curve
from pipeline.scores.shared import metrics


@pytest.fixture
def maps(rng):
    """Values, classes and truth of two images."""
    value = rng.random((2, 30, 40)).astype(np.float32)
    cls = rng.integers(1, 4, (2, 30, 40)).astype(np.uint8)
    return value, cls, rng.choice([0, 1, 2, 3, VOID], (2, 30, 40)).astype(np.uint8)


def test_seed_score_equals_thresholding_one_by_one(rng):
    value = rng.random((30, 40)).astype(np.float32)
    cls = rng.integers(1, 4, (30, 40)).astype(np.uint8)
    real = rng.choice([0, 1, 2, 3, VOID], (30, 40)).astype(np.uint8)
    score = seed_curve.score(seed_curve.count(value, cls, real, classes=4))
    for i in (1, 20, 57, 99):
        seeds = np.where(value * 100 >= i, cls, 0).astype(np.uint8)
        counts = metrics.confusion(seeds, real, classes=4)
        assert score.miou_T[i] == pytest.approx(metrics.mean_iou(counts))
        recall = np.diag(counts) / counts.sum(1)
        assert score.bg_recall_T[i] == pytest.approx(recall[0])
        assert score.fg_recall_T[i] == pytest.approx(recall[1:].mean())
    best, threshold = score.best
    assert best == score.miou_T.max() and score.miou_T[round(threshold * 100)] == best


def test_a_map_value_counts_at_the_threshold_below_it():
    """1 counts at 0.99, the last threshold; a value below 0 at 0."""
    value = np.array([[1.0, 0.5, 0.509, -0.02, 0.0, 0.3]])
    real = np.array([[1, 1, 0, 1, 0, VOID]], np.uint8)
    counts = seed_curve.count(value, np.ones_like(real), real, classes=2)
    assert counts.shape == (100, 2, 2)
    assert seed_curve.packed(counts).tolist() == [
        [0, 0, 1, 1], [0, 1, 1, 1], [50, 0, 1, 1], [50, 1, 1, 1], [99, 1, 1, 1],
    ]  # fmt: skip


def test_where_nothing_is_found_precision_is_one():
    real = np.array([[0, 1]], np.uint8)
    score = seed_curve.score(seed_curve.count(real * 0.5, np.ones_like(real), real, classes=2))
    assert [score.bg_precision_T[0], score.bg_precision_T[1]] == [1, 1]
    assert [score.fg_precision_T[i] for i in (0, 50, 51, 99)] == [0.5, 1, 1, 1]
    assert [score.bg_precision_T[i] for i in (50, 51, 99)] == [1, 0.5, 0.5]


def test_mp_by_hand():
    """Two classes; the map is the truth, so both precisions are 1."""
    real = np.repeat([0, 1], 50).reshape(10, 10).astype(np.uint8)
    counts = seed_curve.count(real * 0.5, np.ones_like(real), real, classes=2)
    assert seed_curve.score(counts).mp == pytest.approx(1.0)


def test_mp_reads_each_precision_at_the_first_recall_above_its_mark():
    """Foreground above 0.20, with the threshold falling; background above 0.80, with it rising."""
    curves = {
        "fg_recall_T": [0.9, 0.5, 0.21, 0.2, 0.1], "fg_precision_T": [0.1, 0.2, 0.3, 0.5, 0.8],
        "bg_recall_T": [0.0, 0.6, 0.7, 0.8, 0.81], "bg_precision_T": [1.0, 0.9, 0.8, 0.7, 0.6],
    }  # fmt: skip
    score = seed_curve.SeedScore(miou_T=np.zeros(5), **{k: np.array(v) for k, v in curves.items()})
    assert score.mp == pytest.approx((0.3 + 0.6) / 2)
    for low in ("fg_recall_T", "bg_recall_T"):
        assert np.isnan(dataclasses.replace(score, **{low: np.full(5, 0.1)}).mp)


def test_mp_takes_the_first_recall_above_each_mark():
    """One class, 10 foreground pixels: three found first, then false ones; recall 0.3 > 0.2."""
    real = np.repeat([1, 0], [10, 90])[None].astype(np.uint8)
    value = np.full((1, 100), 0.05)
    value[0, :3], value[0, 10:16], value[0, 3:10] = 0.9, 0.9, 0.5
    score = seed_curve.score(seed_curve.count(value, np.ones_like(real), real, classes=2))
    # foreground: at 0.9 recall 3/10, precision 3/9; background: from 0.06 on 84 of 90, all right
    assert score.mp == pytest.approx((3 / 9 + 84 / 84) / 2)
    assert score.bg_recall_T[:6] == pytest.approx([0] * 6) and score.bg_recall_T[6] > 0.8


def test_thresholds_below_zero_would_repeat_the_one_at_zero(maps):
    value, cls, real = (a[0] for a in maps)
    counts = metrics.confusion(cls, real, classes=4)  # every pixel foreground
    assert seed_curve.score(seed_curve.count(value, cls, real, classes=4)).miou_T[0] == (
        metrics.mean_iou(counts)
    )
    assert seed_curve.THRESHOLDS.tolist() == [pytest.approx(i / 100) for i in range(100)]


def test_packed_counts_add_up(maps):
    each = [seed_curve.count(*image, classes=4) for image in zip(*maps, strict=True)]
    rows = [seed_curve.packed(c) for c in each]
    total = seed_curve.summed(rows, classes=4)
    assert (total == each[0] + each[1]).all() and total.dtype == np.int64
    assert rows[0][:, 3].min() > 0 and rows[0][:, 3].sum() == (maps[2][0] != VOID).sum()


def test_confusion_at_one_threshold_equals_cutting_the_map(maps):
    rows = [seed_curve.packed(seed_curve.count(*i, classes=4)) for i in zip(*maps, strict=True)]
    got = seed_curve.confusion(rows, step=30, classes=4)
    assert got.dtype == np.int64
    for image, value, cls, real in zip(got, *maps, strict=True):
        seeds = np.where(value * 100 >= 30, cls, 0).astype(np.uint8)
        assert (image == metrics.confusion(seeds, real, classes=4)[:, :4]).all()
