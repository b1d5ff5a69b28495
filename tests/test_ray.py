"""Stages and a training on a Ray cluster of two nodes: the bytes of a local run."""

import contextlib
import importlib.util
import os
import shutil
import socket
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
WAITS = """
import os, signal, time
from pathlib import Path

SLICES, SHARED = {}, True

def run(layout, **_):
    if os.environ["RANK"] == "0":
        Path("pid-0").write_text(str(os.getpid()))
        time.sleep(600)
    while not Path("pid-0").exists():
        time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGKILL)
"""
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


def train_on_two_nodes():
    """Train with a rank on each node. Then kill a rank while it waits, and see the other end.

    Torchrun's usual port is held meanwhile, as by another training.
    """
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    env = {**os.environ, "RAY_ADDRESS": cluster.address,
           "GUIDELABEL_LAUNCH": f"{sys.executable} -m stages._on_ray"}  # fmt: skip
    command = [sys.executable, "-m", "stages", "train_segment", "guide"]
    usual_port = contextlib.ExitStack()
    with contextlib.suppress(OSError):  # another program holds it
        usual_port.enter_context(socket.create_server(("", 29500)))
    subprocess.run(command, env=env, check=True)
    Path("stages/train_seed.py").write_text(WAITS)
    done = subprocess.run([*command[:3], "train_seed"], env=env, stderr=subprocess.PIPE, text=True,
                          check=False, timeout=500)  # fmt: skip
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == "error: rank 1 was killed by SIGKILL; the others were stopped"
    wait_for(lambda: not Path(f"/proc/{Path('pid-0').read_text()}").exists(), seconds=60)
    usual_port.close()
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
    outs = [project.root / out for _, folder in STAGES.values() for out in folder]
    for stage in STAGES:
        project.python("-m", "stages", stage, **ONE)
    local = formats.digest(*outs)
    for stage, (name, _) in STAGES.items():
        with (project.root / f"stages/{stage}.py").open("a") as code:
            code.write(SLOW.format(name=name, stage=stage))
    on_cluster(project, kill_a_node_in_each_stage)
    assert formats.digest(*outs) == local


@pytest.mark.slow
def test_a_training_with_a_rank_on_each_node_has_the_bytes_of_two_ranks_on_one_machine(project):
    """If a rank is killed, one line says so, and the rank on the other node ends."""
    model = project.root / "data/models/segment/guide"
    project.python("-m", "stages", "train_segment", "guide", **ONE, GUIDELABEL_NPROC="2")
    local = formats.digest(model)
    shutil.rmtree(model)
    on_cluster(project, train_on_two_nodes)
    assert formats.digest(model) == local


def skip_without_ray():
    if not SITE.exists() and not importlib.util.find_spec("ray"):
        pytest.skip("Ray is not installed; run `make ray`")


def on_cluster(project, function):
    """Call a function of this module in a process that has Ray."""
    skip_without_ray()
    path = os.pathsep.join([str(project.root), str(ROOT), str(SITE)])
    project.python("-m", "tests.test_ray", function.__name__, **ON_RAY, PYTHONPATH=path)


if __name__ == "__main__":
    {f.__name__: f for f in (kill_a_node_in_each_stage, train_on_two_nodes)}[sys.argv[1]]()
