"""Further inputs, as a careless and as a hostile user gives them, door by door.

None of them is a row of the first table under "Bad input" of docs/reliability.md. Each one ends in
one line that names the file or the param, or is right.
"""

import signal

import pytest

SECONDS = 20  # no case may wait for a pipe


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    def too_long(*_):
        raise TimeoutError("a case waits")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GUIDELABEL_WORKERS", "1")
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
