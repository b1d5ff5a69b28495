"""The chain survives kills at random moments. `make kills` runs the long form."""

import pytest

from tests import kills


@pytest.mark.slow
def test_a_chain_that_is_killed_twice_makes_the_same_bytes(finished, tmp_path):
    """Once at a random moment, and once while DVC writes a lock file."""
    result = kills.survive(tmp_path, finished, kills=2, nproc=1, random_seed=7, interval=8.0)
    assert result["kills"] == 2
