"""The numbers that the benchmarks compute from measured times."""

import numpy as np
import pytest

from benchmarks import measure, per_image, scale
from pipeline.guide import rules


def test_the_ratio_is_our_speed_over_the_peers(monkeypatch):
    now = 0.0
    monkeypatch.setattr(measure.time, "perf_counter", lambda: now)

    def side(seconds):
        def work():
            nonlocal now
            now += seconds
            return 10

        return work

    row = measure.compare("x", side(1), side(3), peer="y", unit="images/s", reach="3")
    assert (row.ours, row.low, row.ratio, row.high) == pytest.approx((10, 3, 3, 3))
    assert "| x | 10 images/s | y | 3.33 | **3.00**" in measure.markdown(
        {"machine": {}, "rows": [vars(row)]}
    )


def test_exponent_of_linear_and_quadratic_growth():
    def runs(power):
        return {
            str(n): {"stages": {"fuse": {"seconds": (n / 1000) ** power}}}
            for n in (250, 1000, 2000, 4000)
        }

    assert scale.exponent(runs(1), "fuse") == pytest.approx(1)
    assert scale.exponent(runs(2), "fuse") == pytest.approx(2)


def test_the_plain_guide_labels_equal_ours(rng):
    """One saliency component holds seeds of one class, the other of two."""
    seeds, salient = np.zeros((24, 64), np.uint8), np.zeros((24, 64), bool)
    salient[4:20, 4:20] = salient[4:20, 30:60] = True
    seeds[8:14, 8:14], seeds[6:18, 32:40], seeds[6:18, 50:58] = 1, 1, 2
    image = np.repeat((seeds * 80)[..., None], 3, axis=2)
    fused = rules.fuse(seeds, salient, per_image.FUSE, tags=[1], rng=rng)
    assert (fused.label_HW == per_image.CONTESTED).any()
    ours = per_image.diffusion.diffuse(image, fused, per_image.DIFFUSE, per_image.DEEPLAB)
    assert (per_image._plain_guide(image, seeds, salient) == ours).all()
    assert set(np.unique(ours)) == {0, 1, 2}
