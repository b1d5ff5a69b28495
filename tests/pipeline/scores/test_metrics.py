import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torchmetrics import Accuracy, AveragePrecision, JaccardIndex

from pipeline.core.arrays import VOID
from pipeline.scores.shared import metrics

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
    assert counts.tolist() == [[1, 0, 0], [0, 1, 1]] and counts.dtype == np.int64
    assert metrics.iou(counts).tolist() == [1.0, 0.5]


def test_a_class_that_never_occurs_does_not_count():
    counts = metrics.confusion(np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8), classes=3)
    assert metrics.mean_iou(counts) == 1.0
    assert np.isnan(metrics.iou(counts)[1:]).all()


def test_scores_of_nothing_are_nan():
    nothing = np.zeros((2, 3), int)
    for score in (metrics.mean_iou, metrics.pixel_accuracy, metrics.frequency_weighted_iou):
        assert np.isnan(score(nothing))


def test_equal_confidence_keeps_the_order_of_the_answers():
    score = np.tile([0.0, 1.0], 50)  # in order: answers 1, 3, 5, ... 99, 0, 2, ... 98
    for answer, rank in ((5, 3), (99, 50), (98, 100)):
        right = np.arange(100) == answer
        assert metrics.average_precision(score, right) == pytest.approx(1 / rank)


def test_area_under_roc_by_hand():
    """Positives at 3 and 1, negatives at 2 and 1: of four pairs, two are right and one is a tie."""
    score, positive = np.array([3, 1, 2, 1.0]), np.array([True, True, False, False])
    assert metrics.area_under_roc(score, positive) == pytest.approx(2.5 / 4)
    assert np.isnan(metrics.area_under_roc(score, np.ones(4, bool)))
    assert np.isnan(metrics.area_under_roc(score, np.zeros(4, bool)))


def test_area_under_roc_equals_a_loop_over_pairs(rng):
    score, positive = rng.integers(0, 9, 40) / 8, rng.random(40) < 0.3
    pairs = [(p, n) for p in score[positive] for n in score[~positive]]
    expected = np.mean([1.0 if p > n else 0.5 if p == n else 0.0 for p, n in pairs])
    assert metrics.area_under_roc(score, positive) == pytest.approx(expected)


def test_average_precision_by_hand():
    score = np.array([0.9, 0.8, 0.7, 0.6])
    hit = np.array([True, False, True, False])
    assert metrics.average_precision(score, hit) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert np.isnan(metrics.average_precision(score, np.zeros(4, bool)))


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(np.int64, (3, 4, 5), elements=st.integers(0, 9)))
def test_iou_of_many_is_iou_one_by_one(counts):
    np.testing.assert_array_equal(metrics.iou(counts), [metrics.iou(c) for c in counts])


def test_average_precision_of_what_cannot_all_be_found():
    """Two of four objects found: recall ends at a half, and so does the area."""
    score, hit = np.array([0.9, 0.8, 0.7]), np.array([True, False, True])
    assert metrics.average_precision(score, hit, positives=4) == pytest.approx(0.25 + 0.25 * 2 / 3)
    assert metrics.average_precision(score, hit, positives=2) == metrics.average_precision(
        score, hit
    )
    assert metrics.average_precision(score, np.zeros(3, bool), positives=4) == 0


def test_average_precision_is_no_lower_than_the_step_sum_of_torchmetrics(rng):
    """Theirs does not interpolate; with precision falling all along, the two agree."""
    for _ in range(20):
        score, hit = rng.random(40), rng.random(40) < 0.4
        theirs = AveragePrecision(task="binary")(torch.tensor(score), torch.tensor(hit).int())
        assert metrics.average_precision(score, hit) >= theirs.item() - 1e-6
    hit = np.arange(40) < 15
    assert metrics.average_precision(-np.arange(40.0), hit) == 1.0


def test_average_precision_equals_a_naive_loop(rng):
    for _ in range(20):
        score, hit = rng.random(30), rng.random(30) < 0.4
        points = []
        for cut in score:
            found = score >= cut
            points.append((hit[found].sum() / hit.sum(), hit[found].mean()))
        recalls = sorted({r for r, _ in points if r > 0})
        area = sum(max(p for r, p in points if r >= at) for at in recalls) / hit.sum()
        assert metrics.average_precision(score, hit) == pytest.approx(area)


@settings(max_examples=30, deadline=None)
@given(label, truth)
def test_pixel_accuracy_and_frequency_weights_equal_references(pred, real):
    counts = metrics.confusion(pred, real, classes=4)
    known = real != VOID
    if not known.any():
        assert np.isnan(metrics.pixel_accuracy(counts))
        assert np.isnan(metrics.frequency_weighted_iou(counts))
        return
    judge = Accuracy(task="multiclass", num_classes=4, ignore_index=VOID, average="micro")
    theirs = judge(torch.tensor(pred[None].astype(int)), torch.tensor(real[None].astype(int)))
    assert metrics.pixel_accuracy(counts) == pytest.approx(theirs.item())
    weighted = sum(
        (real[known] == c).mean() * (known & (pred == c) & (real == c)).sum()
        / (known & ((pred == c) | (real == c))).sum()
        for c in range(4) if (real[known] == c).any()
    )  # fmt: skip
    assert metrics.frequency_weighted_iou(counts) == pytest.approx(weighted)


def naive_boundary(mask, known, distance):
    """Pixels of the mask with a pixel outside it, or the image's end, in the square around."""
    padded = np.pad(mask, distance)
    size = 2 * distance + 1
    out = np.zeros_like(mask)
    for r, c in np.argwhere(mask):
        out[r, c] = not padded[r : r + size, c : c + size].all()
    return out & known


def test_boundary_counts_equal_eroding_class_by_class(rng):
    real = np.kron(rng.integers(0, 3, (4, 5)), np.ones((12, 12))).astype(np.uint8)
    pred = np.roll(real, (3, -2), (0, 1))
    real[20:23] = VOID
    pred[:9, :9] = 4  # no class, as the contested pixels are none
    known = real != VOID
    for dilation, distance in ((0.02, 2), (0.05, 4), (0.001, 1)):
        counts = metrics.boundary_counts(pred, real, classes=4, dilation=dilation)
        assert counts.shape == (3, 4)
        for c in range(4):
            inside = naive_boundary((pred == c) & known, known, distance)
            true = naive_boundary(real == c, known, distance)
            assert counts[:, c].tolist() == [(inside & true).sum(), true.sum(), inside.sum()]


def test_boundary_iou_by_hand():
    """A square of 10 in 100 x 100, diagonal 141 px: a rim of 3 px; shifted by one it loses."""
    real = np.zeros((100, 100), np.uint8)
    real[40:50, 40:50] = 1
    counts = metrics.boundary_counts(real, real, classes=2)
    assert metrics.boundary_iou(counts) == 1.0
    assert counts[:, 1].tolist() == [84] * 3  # 10 x 10 less the 4 x 4 within
    moved = metrics.boundary_counts(np.roll(real, 1, axis=1), real, classes=2)
    # the squares share 9 x 10 pixels; 4 x 5 of them lie within one rim or the other
    assert moved[:, 1].tolist() == [70, 84, 84]
    assert metrics.boundary_iou(moved[:, 1:]) == pytest.approx(70 / 98)
    plain = metrics.mean_iou(metrics.confusion(np.roll(real, 1, axis=1), real, classes=2)[1:, 1:])
    assert plain > 70 / 98


def test_void_rim_does_not_cost_a_perfect_contour():
    real = np.zeros((80, 80), np.uint8)
    real[20:60, 20:60] = 1
    pred = real.copy()
    real[18:22, 18:62] = real[58:62, 18:62] = real[18:62, 18:22] = real[18:62, 58:62] = VOID
    assert metrics.boundary_iou(metrics.boundary_counts(pred, real, classes=2)) == 1.0


def test_boundary_iou_leaves_out_classes_that_do_not_occur():
    assert np.isnan(metrics.boundary_iou(np.zeros((3, 4), int)))
    assert metrics.boundary_iou(np.array([[1, 0], [2, 0], [1, 0]])) == 0.5
    assert metrics.boundary_iou(np.array([[1, 0], [1, 0], [1, 0]])) == 1.0


def test_full_supervision_share():
    assert metrics.full_supervision_share(56.7, 70.3) == pytest.approx(0.8065, abs=1e-4)
    both = metrics.full_supervision_share(np.array([1.0, 2.0]), np.array([0.0, 8.0]))
    assert np.isnan(both[0]) and both[1] == 0.25


def test_confusion_counts_large_images_exactly():
    truth = np.ones((4100, 4100), np.uint8)  # above 2**24 px, where float32 rounds
    truth[-1, -1] = VOID
    counts = metrics.confusion(np.ones_like(truth), truth, classes=2)
    assert counts.tolist() == [[0, 0, 0], [0, 4100**2 - 1, 0]]


def test_a_truth_of_an_unknown_class_is_an_error():
    with pytest.raises(ValueError, match="index above 2"):
        metrics.confusion(np.ones((2, 2), np.uint8), np.full((2, 2), 7, np.uint8), classes=3)
