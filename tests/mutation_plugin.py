"""A pytest plugin for mutation runs: hypothesis stops at the first input that fails.

By default, it would search for a simpler input, which takes seconds. It would also keep the input,
and try it on the next mutant.
"""

from hypothesis import Phase, settings


def pytest_configure() -> None:
    """Set the profile before the test files are imported."""
    settings.register_profile("mutants", phases=[Phase.explicit, Phase.generate], database=None)
    settings.load_profile("mutants")
