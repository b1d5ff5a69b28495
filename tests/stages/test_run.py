"""What every stage costs beside its work."""

import subprocess
import sys

import pytest

LOADS_NO_TORCH = """
import runpy, sys
sys.argv = ["stages", *sys.argv[1:]]
runpy.run_module("stages", run_name="__main__", alter_sys=True)
sys.exit("torch" in sys.modules)
"""


@pytest.mark.parametrize("stage", ["fuse", "diffuse", "refine guide"])
def test_a_stage_without_a_network_does_not_load_torch(project, stage):
    """It takes seconds and half a gigabyte, in every process."""
    project.python("-c", LOADS_NO_TORCH, *stage.split())


def test_the_memory_of_what_starts_a_stage_is_not_the_stages():
    ballast = bytes(range(256)) * 2**22  # 1 GiB, touched
    code = "from stages import _run; print(_run._peak_kib())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(said.stdout) * 1024 < len(ballast) / 4
