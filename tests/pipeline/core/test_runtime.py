import os
import subprocess
import sys

import pytest

from pipeline.core import runtime
from pipeline.core.errors import UserError

FAULTS = """
import resource, torch
from pipeline.core import runtime
{keep}
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    torch.zeros(2**26, dtype=torch.uint8)
before = faults()
for _ in range(5):
    torch.zeros(2**26, dtype=torch.uint8)
print(faults() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc alone")
def test_kept_memory_is_not_cleared_again_and_again():
    found = []
    for keep in ("", "runtime.keep_memory()"):
        command = [sys.executable, "-c", FAULTS.format(keep=keep)]
        found.append(int(subprocess.run(command, capture_output=True, check=True).stdout))
    given_back, kept = found
    assert kept < given_back / 10


def test_a_worker_that_is_killed_is_one_line(monkeypatch):
    monkeypatch.setenv("GUIDELABEL_WORKERS", "2")
    with pytest.raises(UserError, match="set GUIDELABEL_WORKERS to less than 2"):
        list(runtime.pool_map(os._exit, [137, 137], title="test"))
