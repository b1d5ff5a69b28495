"""The actors of a Ray cluster as workers of `engine`. Ray is the extra `ray`.

RAY_ADDRESS names the cluster. Without it, Ray starts on this machine alone. All machines see the
project at the same path.
"""

import functools
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from types import ModuleType
from typing import Any

from pipeline.core import runtime
from pipeline.core.engine import Chunk, Place, Work, compute
from pipeline.core.errors import UserError

NET_CORES = 16  # of an actor that runs a network without a GPU; more would gain little


class _Actor:
    """What runs in a process of its own: in the folder and with the settings of the first."""

    def __init__(self, work: Work, folder: str, settings: Mapping[str, str]) -> None:
        os.chdir(folder)
        os.environ.update(settings)
        self.work = work

    def compute(self, chunk: Chunk) -> Any:
        return compute(self.work, chunk)


class _Worker:
    """An actor as a worker."""

    def __init__(self, work: Work, options: Mapping[str, int]) -> None:
        settings = {k: v for k, v in os.environ.items() if k.startswith("GUIDELABEL_")}
        settings["GUIDELABEL_WORKERS"] = str(options["num_cpus"])
        make = _ray().remote(_Actor).options(**options)
        self.actor = make.remote(work, os.getcwd(), settings)

    def submit(self, chunk: Chunk) -> "Future[Any]":
        return self.actor.compute.remote(chunk).future()

    def stop(self) -> None:
        _ray().kill(self.actor)


def place(network: bool) -> Place:
    """Choose an actor for each GPU; or for every NET_CORES cores; or, without a network, each core.

    Raises:
        UserError: Ray is not installed, or the cluster does not answer.
    """
    ray = _connected()
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    with_gpu = [n for n in nodes if network and n.get("GPU")]
    nodes = with_gpu or [n for n in nodes if n.get("CPU")]
    cores = _cores(nodes, gpu=bool(with_gpu)) if network else 1
    count = sum(int(n["GPU"] if with_gpu else n["CPU"] // cores) for n in nodes)
    options = {"num_cpus": cores, "num_gpus": int(bool(with_gpu))}
    gone = (ray.exceptions.RayError,)
    return Place(functools.partial(_Worker, options=options), max(1, count), gone)


def hardware() -> str:
    """Name the kinds of GPUs in the cluster."""
    names = _connected().cluster_resources()
    return " ".join(sorted(n for n in names if n.startswith("accelerator_type:")))


def _cores(nodes: Sequence[Mapping[str, float]], *, gpu: bool) -> int:
    """The cores of an actor with a network, GUIDELABEL_WORKERS at most. Every machine has them."""
    share = min((n.get("CPU", 1) // (n["GPU"] if gpu else 1) for n in nodes), default=1)
    asked = os.environ.get("GUIDELABEL_WORKERS")
    most = runtime.workers() if asked else share if gpu else NET_CORES
    return max(1, int(min(share, most)))


def _connected() -> ModuleType:
    """Return Ray, connected to the cluster.

    Raises:
        UserError: Ray is not installed, or the cluster does not answer.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would send them to a server
    try:
        ray = _ray()
    except ModuleNotFoundError as e:
        raise UserError(
            "GUIDELABEL_ENGINE=ray: Ray is not installed; run `pip install 'guidelabel[ray]'`, or "
            "unset GUIDELABEL_ENGINE"
        ) from e
    if not ray.is_initialized():
        try:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        except ConnectionError as e:
            address = os.environ.get("RAY_ADDRESS", "")
            raise UserError(
                f"RAY_ADDRESS={address}: no Ray cluster answers; start it with `ray start`"
            ) from e
    return ray


def _ray() -> ModuleType:
    import ray

    return ray
