"""What the benchmarks compute out of their clocks."""

import pytest

from benchmarks import measure, scale


def test_a_ratio_is_ours_over_theirs_and_its_quartiles_hold_it(monkeypatch):
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


def test_exponent_of_linear_and_square_growth():
    def grown(power):
        return {
            str(n): {"stages": {"fuse": {"seconds": (n / 1000) ** power}}}
            for n in (250, 1000, 2000, 4000)
        }

    assert scale.exponent(grown(1), "fuse") == pytest.approx(1)
    assert scale.exponent(grown(2), "fuse") == pytest.approx(2)
