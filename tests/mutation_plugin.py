"""What pytest does otherwise in a mutation run: hypothesis stops at the first input that fails.

To look for a simpler one takes seconds, and an input kept from one mutant would help with the next.
"""

from hypothesis import Phase, settings


def pytest_configure() -> None:
    """Before the test files are imported."""
    settings.register_profile("mutants", phases=[Phase.explicit, Phase.generate], database=None)
    settings.load_profile("mutants")
