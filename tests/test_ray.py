"""Stages on a Ray cluster of two nodes, one of which is killed: the bytes of a local run."""

import importlib.util
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from pipeline.core import formats
from tests.project import ROOT, wait_for

SITE = ROOT / f".tools/ray/lib/python{sysconfig.get_python_version()}/site-packages"  # `make ray`
ONE = {"OMP_NUM_THREADS": "1", "GUIDELABEL_WORKERS": "1", "GUIDELABEL_DEVICE": "cpu"}
ON_RAY = {**ONE, "GUIDELABEL_ENGINE": "ray", "RAY_USAGE_STATS_ENABLED": "0"}
STAGES = {  # stage -> the class that computes its chunks, and its outputs
    "seed": ("SeedMaker", ["data/maps", "data/tag_scores.csv"]),
    "fuse": ("Fuser", ["data/fused/seeds", "data/fused/labels"]),
}
# Each chunk leaves a file with its node and its first image, and then takes a second.
SLOW = """

def slow(self, chunk, whole={name}.__call__):
    import time
    from pathlib import Path
    import ray
    node = ray.get_runtime_context().get_node_id()
    Path(f"{stage}.{{node}}.{{chunk[0].id}}.{{time.time_ns()}}.chunk").touch()
    time.sleep(1)
    whole(self, chunk)

{name}.__call__ = slow
"""


def kill_a_node_in_each_stage():
    """Run each stage on a cluster. Kill the second node while it computes a chunk."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    for stage in STAGES:
        second = cluster.add_node(num_cpus=1)
        env = {**os.environ, "RAY_ADDRESS": cluster.address}
        with subprocess.Popen([sys.executable, "-m", "stages", stage], env=env) as run:
            wait_for(lambda s=stage, n=second: lost(s, n) or run.poll() is not None, seconds=300)
            cluster.remove_node(second, allow_graceful=False)
        assert run.returncode == 0
        assert lost(stage, second)[0].split(".")[2] in again(stage, second)
    cluster.shutdown()


def lost(stage, node):
    """Return the marks of the chunks that a node began, the last one first."""
    marks = Path().glob(f"{stage}.{node.node_id}.*.chunk")
    return sorted((p.name for p in marks), key=lambda name: -int(name.split(".")[3]))


def again(stage, node):
    """Return the first images of the chunks that other nodes began."""
    marks = (p.name.split(".") for p in Path().glob(f"{stage}.*.chunk"))
    return {image for _, other, image, *_ in marks if other != node.node_id}


@pytest.mark.slow
def test_a_killed_node_costs_one_chunk_and_the_bytes_are_those_of_a_local_run(project):
    """The stage goes on when the chunk of the dead node is computed again."""
    if not SITE.exists() and not importlib.util.find_spec("ray"):
        pytest.skip("Ray is not installed; run `make ray`")
    outs = [project.root / out for _, folder in STAGES.values() for out in folder]
    for stage in STAGES:
        project.python("-m", "stages", stage, **ONE)
    local = formats.digest(*outs)
    for stage, (name, _) in STAGES.items():
        with (project.root / f"stages/{stage}.py").open("a") as code:
            code.write(SLOW.format(name=name, stage=stage))
    path = os.pathsep.join([str(project.root), str(ROOT), str(SITE)])
    project.python("-m", "tests.test_ray", **ON_RAY, PYTHONPATH=path)
    assert formats.digest(*outs) == local


if __name__ == "__main__":
    kill_a_node_in_each_stage()
