"""Start a torchrun on every machine of a Ray cluster: a command for GUIDELABEL_LAUNCH.

    GUIDELABEL_LAUNCH="python -m stages._on_ray"

There is a rank for each GPU, or one on each machine without GPUs. Options are those of torchrun.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial

from pipeline.core import ray_cluster, runtime
from pipeline.core.errors import UserError
from stages import _ranks

PORT = 29500  # where the torchruns meet, on the first machine


def main(args: Sequence[str]) -> None:
    """Start the torchruns, and wait. If one fails, the others are stopped."""
    if "DVC_STAGE" in os.environ:
        runtime.watch_parent()
    machines = ray_cluster.machines(network=True, show_output=True)
    meet = [f"--master-addr={machines[0].address}", f"--master-port={PORT}"]
    works = []
    for number, machine in enumerate(machines):
        ranks = max(1, machine.gpus)
        places = [f"--nproc-per-node={ranks}", f"--node-rank={number}"]
        threads = os.environ.get("OMP_NUM_THREADS", str(max(1, machine.cores // ranks)))
        settings = {k: v for k, v in os.environ.items() if k.startswith(("GUIDELABEL_", "DVC_"))}
        settings["OMP_NUM_THREADS"] = threads
        options = [f"--nnodes={len(machines)}", *meet, *places, *args]
        works.append((machine, partial(_torchrun, options, os.getcwd(), settings)))
    if failure := ray_cluster.at_once(works):
        sys.exit(failure)


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
