"""The chain survives kills at random moments. `make kills` runs the long form."""

import pytest

from tests import kills


@pytest.mark.slow
@pytest.mark.parametrize("nproc", [1])
def test_a_chain_that_is_killed_three_times_makes_the_same_bytes(tmp_path, nproc):
    result = kills.survive(tmp_path, kills=3, nproc=nproc, random_seed=7, interval=8.0)
    assert result["kills"] == 3
