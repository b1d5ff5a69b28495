import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torchmetrics import JaccardIndex

from pipeline import metrics
from pipeline.arrays import VOID

label = hnp.arrays(np.uint8, (7, 8), elements=st.integers(0, 3))
truth = hnp.arrays(np.uint8, (7, 8), elements=st.sampled_from([0, 1, 2, 3, VOID]))


@settings(max_examples=50, deadline=None)
@given(label, truth)
def test_confusion_equals_a_naive_loop(pred, real):
    expected = np.zeros((4, 5), int)
    for p, t in zip(pred.ravel(), real.ravel(), strict=True):
        if t != VOID:
            expected[t, p] += 1
    assert (metrics.confusion(pred, real, classes=4) == expected).all()


@settings(max_examples=50, deadline=None)
@given(label, truth)
def test_iou_equals_torchmetrics(pred, real):
    judge = JaccardIndex(task="multiclass", num_classes=4, ignore_index=VOID, average="none")
    theirs = judge(torch.tensor(pred[None].astype(int)), torch.tensor(real[None].astype(int)))
    ours = metrics.iou(metrics.confusion(pred, real, classes=4))
    np.testing.assert_allclose(np.nan_to_num(ours), theirs.numpy(), atol=1e-6)


def test_void_prediction_is_a_mistake_for_the_true_class_alone():
    counts = metrics.confusion(
        np.array([[1, VOID, 0]], np.uint8), np.array([[1, 1, 0]], np.uint8), classes=2
    )
    assert metrics.iou(counts).tolist() == [1.0, 0.5]


def test_a_class_that_never_occurs_does_not_count():
    counts = metrics.confusion(np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8), classes=3)
    assert metrics.mean_iou(counts) == 1.0
    assert np.isnan(metrics.iou(counts)[1:]).all()


def test_average_precision_by_hand():
    score = np.array([0.9, 0.8, 0.7, 0.6])
    hit = np.array([True, False, True, False])
    assert metrics.average_precision(score, hit) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert np.isnan(metrics.average_precision(score, np.zeros(4, bool)))


def test_seed_score_equals_thresholding_one_by_one(rng):
    value = rng.random((30, 40)).astype(np.float32)
    cls = rng.integers(1, 4, (30, 40)).astype(np.uint8)
    real = rng.choice([0, 1, 2, 3, VOID], (30, 40)).astype(np.uint8)
    score = metrics.seed_score(metrics.seed_counts(value, cls, real, classes=4))
    for i in (1, 20, 57, 99):
        seeds = np.where(value * 100 >= i, cls, 0).astype(np.uint8)
        counts = metrics.confusion(seeds, real, classes=4)
        assert score.miou_T[i] == pytest.approx(metrics.mean_iou(counts))
        recall = np.diag(counts) / counts.sum(1)
        assert score.bg_recall_T[i] == pytest.approx(recall[0])
        assert score.fg_recall_T[i] == pytest.approx(recall[1:].mean())
    best, threshold = score.best
    assert best == score.miou_T.max() and score.miou_T[round(threshold * 100)] == best


def test_mp_by_hand():
    """Two classes; the map is the truth, so both precisions are 1."""
    real = np.repeat([0, 1], 50).reshape(10, 10).astype(np.uint8)
    counts = metrics.seed_counts(real * 0.5, np.ones_like(real), real, classes=2)
    assert metrics.seed_score(counts).mp == pytest.approx(1.0)


def test_full_supervision_share():
    assert metrics.full_supervision_share(56.7, 70.3) == pytest.approx(80.65, abs=0.01)
