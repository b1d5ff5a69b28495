"""The actors of a Ray cluster as workers of `engine`, and its machines. Ray is the extra `ray`.

RAY_ADDRESS names the cluster. Without it, we join the Ray that runs on this machine, or else start
one here alone. All machines see the project at the same path.
"""

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from pipeline.core import faults, runtime
from pipeline.core.engine import Chunk, Place, Work, compute
from pipeline.core.errors import UserError

FEWER = f"start Ray with a lower --num-cpus or --num-gpus, then {faults.AGAIN}"
NET_CORES = 16  # of an actor that runs a network without a GPU; more would gain little


@dataclass(frozen=True)
class Machine:
    """A machine of the cluster."""

    id: str
    address: str
    cores: int
    gpus: int


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
    on = machines(network=network)
    gpu = network and any(machine.gpus for machine in on)
    cores = _cores(on, gpu=gpu) if network else 1
    count = sum(m.gpus if gpu else m.cores // cores for m in on)
    options = {"num_cpus": cores, "num_gpus": int(gpu)}
    gone = (_ray().exceptions.RayError,)
    return Place(functools.partial(_Worker, options=options), max(1, count), gone, FEWER)


def machines(*, network: bool, show_output: bool = False) -> list[Machine]:
    """Return the machines that may work: those with a GPU, if a network needs it and any has one.

    A machine that only manages the cluster has no cores.

    Raises:
        UserError: Ray is not installed, the cluster does not answer, or no machine has cores.
    """
    listed = _connected(show_output=show_output).nodes()
    nodes = [(n, n["Resources"]) for n in listed if n["Alive"] and n["Resources"].get("CPU")]
    on = [Machine(n["NodeID"], n["NodeManagerAddress"], int(r["CPU"]), int(r.get("GPU", 0)))
          for n, r in nodes]  # fmt: skip
    if not on:
        raise UserError(
            "no machine of the Ray cluster has cores; start one with "
            "`ray start --address=FIRST:6379`, or wait until it has joined"
        )
    return [machine for machine in on if network and machine.gpus] or on


def at_once(works: Sequence[tuple[Machine, Callable[[], str]]]) -> str:
    """Call a function on each machine at the same time, with all its GPUs and cores.

    Return what went wrong, as the first of them says it. The others end when this process does.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ray, running = _ray(), []
    call = ray.remote(_call)
    for machine, work in works:
        here = NodeAffinitySchedulingStrategy(machine.id, soft=False)
        options = {"num_cpus": machine.cores, "num_gpus": machine.gpus, "max_retries": 0}
        running.append(call.options(**options, scheduling_strategy=here).remote(work))
    while running:
        done, running = ray.wait(running)
        try:
            failure = ray.get(done[0])
        except ray.exceptions.RayError as e:
            failure = f"error: a process or a machine is gone: {str(e).splitlines()[0]}"
        if failure:
            return failure
    return ""


def _call(work: Callable[[], str]) -> str:
    return work()


def hardware() -> str:
    """Name the kinds of GPUs in the cluster."""
    names = _connected().cluster_resources()
    return " ".join(sorted(n for n in names if n.startswith("accelerator_type:")))


def _cores(on: Sequence[Machine], *, gpu: bool) -> int:
    """The cores of an actor with a network, GUIDELABEL_WORKERS at most. Every machine has them."""
    share = min(m.cores // (m.gpus if gpu else 1) for m in on)
    asked = os.environ.get("GUIDELABEL_WORKERS")
    most = runtime.workers() if asked else share if gpu else NET_CORES
    return max(1, min(share, most))


def _connected(*, show_output: bool = False) -> ModuleType:
    """Return Ray, connected to the cluster. It may show what its processes print.

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
            ray.init(include_dashboard=False, log_to_driver=show_output, logging_level="ERROR")
        except (ConnectionError, ValueError) as e:  # the second one: it is no address
            address = os.environ.get("RAY_ADDRESS", "")
            raise UserError(
                f"RAY_ADDRESS={address}: no Ray cluster answers; correct it, or start Ray there"
            ) from e
    return ray


def _ray() -> ModuleType:
    import ray

    return ray
