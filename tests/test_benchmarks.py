"""What the benchmarks compute out of their clocks."""

import time

import pytest

from benchmarks import measure, scale


def test_a_ratio_is_ours_over_theirs_and_its_quartiles_hold_it():
    def side(seconds):
        return lambda: time.sleep(seconds) or 10

    row = measure.compare("x", side(0.01), side(0.03), peer="y", unit="images/s", reach="3")
    assert row.low <= row.ratio <= row.high and row.ratio == pytest.approx(3, rel=0.3)
    assert "| x | " in measure.markdown({"machine": {}, "rows": [vars(row)]})


def test_exponent_of_linear_and_square_growth():
    def grown(power):
        return {
            str(n): {"stages": {"fuse": {"seconds": (n / 1000) ** power}}}
            for n in (250, 1000, 2000, 4000)
        }

    assert scale.exponent(grown(1), "fuse") == pytest.approx(1)
    assert scale.exponent(grown(2), "fuse") == pytest.approx(2)
