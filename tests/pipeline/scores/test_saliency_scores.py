import numpy as np
import pytest

from pipeline.core.arrays import VOID
from pipeline.scores.saliency import saliency_scores
from pipeline.scores.shared import metrics


@pytest.fixture
def images(rng):
    """Three grey maps in steps of 1/255, and their truths with void."""
    grey = rng.integers(0, 256, (3, 20, 30))
    truth = rng.choice([0, 1, 5, VOID], (3, 20, 30), p=[0.6, 0.2, 0.1, 0.1]).astype(np.uint8)
    return (grey / 255).astype(np.float32), truth


@pytest.fixture
def histograms(images):
    return np.stack([saliency_scores.histogram(*i) for i in zip(*images, strict=True)])


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 128 / 255, 1.0])
def test_confusion_equals_cutting_the_map(images, histograms, threshold):
    got = saliency_scores.confusion(histograms, threshold=threshold)
    for counts, grey, truth in zip(got, *images, strict=True):
        foreground = np.where(truth == VOID, VOID, truth > 0).astype(np.uint8)
        cut = (grey >= threshold).astype(np.uint8)
        assert (counts == metrics.confusion(cut, foreground, classes=2)[:, :2]).all()


def test_curve_equals_a_loop_over_images_and_levels(images, histograms):
    precision, recall, f = (np.zeros((3, 256)) for _ in range(3))
    for i, (grey, truth) in enumerate(zip(*images, strict=True)):
        known = truth != VOID
        for level in range(256):
            found = known & (np.round(grey * 255) >= level)
            hit = (found & (truth > 0)).sum()
            p = hit / found.sum() if found.any() else 0
            r = hit / (known & (truth > 0)).sum()
            precision[i, level], recall[i, level] = p, r
            f[i, level] = 1.3 * p * r / (0.3 * p + r) if p + r else 0
    got = saliency_scores.curve(histograms)
    for ours, theirs in zip(got, (precision, recall, f), strict=True):
        np.testing.assert_allclose(ours, theirs.mean(axis=0), atol=1e-12)


def test_curve_leaves_images_without_foreground_out(histograms):
    empty = np.zeros((1, 2, 256), int)
    empty[0, 0, 7] = 50
    for with_empty, without in zip(
        saliency_scores.curve(np.concatenate([histograms, empty])),
        saliency_scores.curve(histograms), strict=True,
    ):  # fmt: skip
        assert (with_empty == without).all()
    nothing = saliency_scores.curve(empty)
    assert [c.shape for c in nothing] == [(256,)] * 3 and np.isnan(nothing).all()


def test_curve_of_two_pixels_by_hand():
    """Both foreground, one white and one black: the black one is found at threshold 0 alone."""
    histogram = np.zeros((1, 2, 256), int)
    histogram[0, 1, [0, 255]] = 1
    precision, recall, f = saliency_scores.curve(histogram)
    assert precision.tolist() == [1] * 256 and recall.tolist() == [1] + [0.5] * 255
    assert f.tolist() == [1] + [pytest.approx(1.3 * 0.5 / (0.3 + 0.5))] * 255


def test_absolute_error_equals_the_plain_mean(images, histograms):
    expected = [
        np.abs(grey - (truth > 0))[truth != VOID].mean()
        for grey, truth in zip(*images, strict=True)
    ]
    assert saliency_scores.absolute_error(histograms) == pytest.approx(expected, abs=1e-6)
    one = np.zeros((2, 2, 256), int)
    one[1, 0, 51] = 1
    assert saliency_scores.absolute_error(one) == pytest.approx([np.nan, 51 / 255], nan_ok=True)


def square():
    truth = np.zeros((20, 20), np.uint8)
    truth[5:15, 3:11] = 1
    return truth


def test_s_measure_of_the_truth_is_one():
    truth = square()
    assert saliency_scores.s_measure(truth.astype(float), truth) == pytest.approx(1)
    truth[truth == 1] = 7
    assert saliency_scores.s_measure((truth > 0).astype(float), truth) == pytest.approx(1)


def test_s_measure_without_background_or_foreground():
    flat = np.full((4, 5), 0.25)
    assert saliency_scores.s_measure(flat, np.zeros((4, 5), np.uint8)) == pytest.approx(0.75)
    assert saliency_scores.s_measure(flat, np.ones((4, 5), np.uint8)) == pytest.approx(0.25)
    assert np.isnan(saliency_scores.s_measure(flat, np.full((4, 5), VOID, np.uint8)))


def test_s_measure_of_a_flat_map_by_hand():
    """Objects: each side 2x/(x^2 + 1). Regions: no spread in the map, so 1 where truth is flat too.

    Truth: left two of four columns. The centroid's column 0.5 rounds to 0, its row 1.5 to 2, one is
    added: column 1 and row 3 part the image; the two left parts are all foreground, of the right
    ones a third is.
    """
    truth = np.zeros((4, 4), np.uint8)
    truth[:, :2] = 1
    v = 0.6
    objects = 0.5 * 2 * v / (v**2 + 1) + 0.5 * 2 * (1 - v) / ((1 - v) ** 2 + 1)
    regions = 4 / 16  # flat map, flat truth: 1; flat map, mixed truth: 0
    assert saliency_scores.s_measure(np.full((4, 4), v), truth) == pytest.approx(
        (objects + regions) / 2
    )


def test_s_measure_parts_the_image_after_the_foregrounds_centroid():
    """Foreground: the first column. Parted after it, no part is mixed: each scores 1."""
    truth = np.zeros((4, 4), np.uint8)
    truth[:, 0] = 1
    v = 0.6
    objects = 0.25 * 2 * v / (v**2 + 1) + 0.75 * 2 * (1 - v) / ((1 - v) ** 2 + 1)
    found = saliency_scores.s_measure(np.full((4, 4), v), truth)
    assert found == pytest.approx((objects + 1) / 2)


def test_likeness_of_an_object_falls_with_its_spread():
    """Mean 0.4, standard deviation of the sample 0.2 * sqrt(2)."""
    got = saliency_scores._alike(np.array([0.2, 0.6]))
    assert got == pytest.approx(0.8 / (0.16 + 1 + 0.2 * 2**0.5))


def test_s_measure_of_single_pixels_by_hand():
    """One row of two pixels: the foreground at the left, the map 0.8 and 0.4.

    Objects: single pixels, no spread. Regions: parted into single pixels, map and truth flat: 1.
    """
    value, truth = np.array([[0.8, 0.4]]), np.array([[1, 0]], np.uint8)
    objects = 0.5 * 1.6 / (0.64 + 1) + 0.5 * 1.2 / (0.36 + 1)
    assert saliency_scores.s_measure(value, truth) == pytest.approx((objects + 1) / 2)


def test_likeness_of_a_part_by_hand():
    """Map 0, 1, 0.5, 0.5, truth 0, 1, 0, 1: means 1/2, variances 1/6 and 1/3, covariance 1/6."""
    got = saliency_scores._structure(np.array([0, 1, 0.5, 0.5]), np.array([0.0, 1, 0, 1]))
    assert got == pytest.approx(4 * 0.25 * (1 / 6) / (0.5 * (1 / 6 + 1 / 3)))


def test_void_pixels_change_no_score(rng):
    """What the map says there does not matter."""
    truth, value = square(), rng.random((20, 20))
    truth[4, :] = truth[15, :] = VOID
    other = np.where(truth == VOID, 1 - value, value)
    assert saliency_scores.s_measure(other, truth) == saliency_scores.s_measure(value, truth)
    assert (saliency_scores.histogram(other, truth).sum()) == (truth != VOID).sum()


def test_a_better_map_has_a_higher_s_measure(rng):
    truth = square()
    noise = rng.random((20, 20))
    found = [saliency_scores.s_measure(w * (truth > 0) + (1 - w) * noise, truth)
             for w in (0, 0.3, 0.6, 0.9)]  # fmt: skip
    assert found == sorted(found) and found[0] < 0.6 < 0.9 < found[-1]
