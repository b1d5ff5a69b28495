"""Start a torchrun on every machine of a Ray cluster: a command for GUIDELABEL_LAUNCH.

    GUIDELABEL_LAUNCH="python -m stages._on_ray"

There is a rank for each GPU, or one on each machine without GPUs. Options are those of torchrun.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from pipeline.core import ray_cluster, runtime
from pipeline.core.errors import UserError
from stages import _ranks


def main(args: Sequence[str]) -> None:
    """Start the torchruns, and wait. If one fails, the others are stopped."""
    if "DVC_STAGE" in os.environ:
        runtime.watch_parent()
    machines = ray_cluster.machines(network=True, show_output=True)
    first, port = machines[0], ray_cluster.free_port(machines[0])
    meet = [f"--nnodes={len(machines)}", f"--master-addr={first.address}", f"--master-port={port}"]
    works = [
        (machine, _work(machine, [*meet, f"--node-rank={number}", *args]))
        for number, machine in enumerate(machines)
    ]
    if failure := ray_cluster.at_once(works):
        sys.exit(failure)


def _work(machine: ray_cluster.Machine, options: Sequence[str]) -> Callable[[], str]:
    """Return what a machine does: torchrun with a rank for each GPU, which share the cores."""
    ranks = max(1, machine.gpus)
    settings = {k: v for k, v in os.environ.items() if k.startswith(("GUIDELABEL_", "DVC_"))}
    threads = str(max(1, machine.cores // ranks))
    settings["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", threads)
    return partial(_torchrun, [f"--nproc-per-node={ranks}", *options], os.getcwd(), settings)


def _torchrun(args: Sequence[str], folder: str, settings: Mapping[str, str]) -> str:
    """Run torchrun in this process. Return what went wrong; "" if nothing did."""
    os.chdir(folder)
    os.environ.update(settings)
    try:
        _ranks.main(list(args))
    except SystemExit as e:  # as an exception, it would end Ray's process without its message
        return str(e)
    return ""


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as e:
        sys.exit(f"error: {e}")
