"""Bootstrap intervals of one link, and paired ones of two."""

import numpy as np
import pytest

from pipeline.scores.shared import metrics


def images(rng, count=40, classes=4):
    """Random confusion matrices of images: mostly right, some worse than others."""
    counts = rng.integers(0, 30, (count, classes, classes + 1))
    counts[:, range(classes), range(classes)] += rng.integers(0, 200, (count, classes))
    return counts


def test_interval_holds_the_score_and_is_the_same_every_time(rng):
    counts = images(rng)
    low, high = metrics.mean_iou_interval(counts, rng=np.random.default_rng(0))
    assert low < metrics.mean_iou(counts.sum(axis=0)) < high
    again = metrics.mean_iou_interval(counts, rng=np.random.default_rng(0))
    assert again == (low, high)
    wide = metrics.mean_iou_interval(counts[:10], rng=np.random.default_rng(0))
    assert wide[1] - wide[0] > high - low


def test_interval_of_equal_images_is_a_point(rng):
    counts = np.repeat(images(rng, count=1), 12, axis=0)
    ends = metrics.mean_iou_interval(counts, rng=rng)
    assert ends == pytest.approx([metrics.mean_iou(counts[0])] * 2)


def test_interval_equals_resampling_in_a_loop(rng):
    counts = images(rng, count=25)
    counts[3:, 2] = counts[3:, :, 2] = 0  # a class that many resamples hold, not all
    weights = np.random.default_rng(5).multinomial(25, np.full(25, 1 / 25), size=130)
    scores = []
    for row in weights:
        drawn = [counts[i] for i, times in enumerate(row) for _ in range(times)]
        scores.append(metrics.mean_iou(sum(drawn)))
    ends = metrics.mean_iou_interval(counts, rng=np.random.default_rng(5), resamples=130)
    assert ends == pytest.approx(np.percentile(scores, [2.5, 97.5]))
    narrow = metrics.mean_iou_interval(
        counts, rng=np.random.default_rng(5), resamples=130, share=0.5
    )
    assert narrow == pytest.approx(np.percentile(scores, [25, 75]))


def test_interval_is_of_95_percent_and_a_thousand_resamples_unless_told(rng):
    counts = images(rng, count=8)
    told = metrics.mean_iou_interval(
        counts, rng=np.random.default_rng(5), resamples=1000, share=0.95
    )
    assert metrics.mean_iou_interval(counts, rng=np.random.default_rng(5)) == told


def drawn(counts, seed=5, resamples=130):
    """The mean IoU of each resample of `counts`, drawn image by image."""
    n = len(counts)
    times = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    return [
        metrics.mean_iou(sum(counts[i] for i, k in enumerate(row) for _ in range(k)))
        for row in times
    ]


def better(counts, share=0.05):
    """The same images with `share` of every kind of mistake corrected: a little better on each."""
    out = counts.copy()
    fixed = (share * counts).astype(int)
    fixed[:, range(counts.shape[1]), range(counts.shape[1])] = 0
    out -= fixed
    out[:, range(counts.shape[1]), range(counts.shape[1])] += fixed.sum(axis=2)
    return out


PAIRED = {
    metrics.difference_interval: lambda one, other: one - other,
    metrics.full_supervision_interval: lambda one, other: one / other,
}


@pytest.mark.parametrize("paired", PAIRED)
def test_a_link_against_itself_does_not_differ(rng, paired):
    """Exactly: with separate draws for each link, the ends would lie apart."""
    counts = images(rng)
    same = 0.0 if paired is metrics.difference_interval else 1.0
    assert paired(counts, counts.copy(), rng=rng) == (same, same)


@pytest.mark.parametrize("paired", PAIRED)
def test_paired_interval_equals_resampling_both_links_in_a_loop(rng, paired):
    one, other = images(rng, count=25), images(rng, count=25)
    one[3:, 2] = one[3:, :, 2] = 0  # a class that many resamples of one link hold, not all
    values = [PAIRED[paired](*both) for both in zip(drawn(one), drawn(other), strict=True)]
    ends = paired(one, other, rng=np.random.default_rng(5), resamples=130)
    assert ends == pytest.approx(np.percentile(values, [2.5, 97.5]))
    swapped = paired(other, one, rng=np.random.default_rng(5), resamples=130)
    assert swapped != pytest.approx(ends)


def test_paired_interval_shows_what_two_intervals_hide(rng):
    """Every image a little better: the links' own intervals overlap, the difference is clear."""
    worse = images(rng, count=20)
    link = better(worse)
    low, high = metrics.mean_iou_interval(link, rng=np.random.default_rng(0))
    low_worse, high_worse = metrics.mean_iou_interval(worse, rng=np.random.default_rng(0))
    assert low_worse < low < high_worse < high
    assert metrics.difference_interval(link, worse, rng=np.random.default_rng(0))[0] > 0
    assert metrics.difference_interval(worse, link, rng=np.random.default_rng(0))[1] < 0
    assert metrics.full_supervision_interval(worse, link, rng=np.random.default_rng(0))[1] < 1


@pytest.mark.parametrize("paired", PAIRED)
def test_paired_interval_is_of_95_percent_and_a_thousand_resamples_unless_told(rng, paired):
    one, other = images(rng, count=8), images(rng, count=8)
    values = [
        PAIRED[paired](*b) for b in zip(drawn(one, 5, 1000), drawn(other, 5, 1000), strict=True)
    ]
    ends = paired(one, other, rng=np.random.default_rng(5))
    assert ends == pytest.approx(np.percentile(values, [2.5, 97.5]))


def test_resamples_without_a_right_pixel_of_full_supervision_are_left_out(rng):
    weak, full = np.zeros((2, 2, 2, 3), int)
    weak[:, 0, 0], weak[:, 1, 0] = 3, 1
    full[0, 0, 1] = full[0, 1, 0] = 4  # mIoU 0 where only this image is drawn
    full[1, 0, 0], full[1, 1, 1] = 3, 1
    low, high = metrics.full_supervision_interval(weak, full, rng=rng)
    assert np.isfinite([low, high]).all() and low == pytest.approx(0.375)
    assert np.isnan(metrics.full_supervision_interval(weak, 0 * full, rng=rng)).all()


def test_draws_are_multinomial_and_the_same_however_many_are_made_at_once():
    times = metrics.draw_images(7, rng=np.random.default_rng(3), resamples=120)
    whole = np.random.default_rng(3).multinomial(7, np.full(7, 1 / 7), size=120)
    assert times.shape == (120, 7) and (times == whole).all()


def test_interval_of_nothing_is_nothing(rng):
    assert np.isnan(metrics.mean_iou_interval(np.zeros((3, 2, 3), int), rng=rng)).all()
