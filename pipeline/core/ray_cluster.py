"""The actors of a Ray cluster as workers of `engine`, and its machines. Ray is the extra `ray`.

RAY_ADDRESS names the cluster. Without it, we join the Ray that runs on this machine, or else start
one here alone. All machines see the project at the same path.
"""

import functools
import os
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from pipeline.core import faults, runtime
from pipeline.core.engine import Chunk, Place, Work, compute
from pipeline.core.errors import UserError

FEWER = (
    "start Ray with a lower --num-cpus or --num-gpus, or lower batch or size_px in params.yaml, "
    f"then {faults.AGAIN}"
)
NET_CORES = 16  # of an actor that runs a network without a GPU; more would gain little
CHUNK = 64  # images without a network; a chunk takes Ray longer than a pool of processes
GONE = (  # Ray's errors that mean that an actor or its machine is dead
    "RayActorError", "OutOfMemoryError", "ObjectLostError", "NodeDiedError",
    "LocalRayletDiedError", "ObjectStoreFullError",
)  # fmt: skip
PATIENCE_S = 5  # until a machine must answer
TRIES = 4  # of Ray to reach a cluster; its 20 take a quarter of an hour


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
    errors = _ray().exceptions
    gone = tuple(getattr(errors, name) for name in GONE)
    return Place(functools.partial(_Worker, options=options), max(1, count), gone, FEWER, CHUNK)


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
    ray = _ray()
    running = {
        _start(work, machine, num_cpus=machine.cores, num_gpus=machine.gpus): machine
        for machine, work in works
    }
    while running:
        done, _ = ray.wait(list(running))
        machine = running.pop(done[0])
        try:
            failure = ray.get(done[0])
        except ray.exceptions.RayTaskError as e:  # its text is a traceback
            failure = f"error: {machine.address}: {_lines(e)[-1]}"
        except ray.exceptions.RayError as e:
            failure = f"error: {machine.address}: a process or the machine is gone: {_lines(e)[0]}"
        if failure:
            return failure
    return ""


def _lines(error: Exception) -> list[str]:
    return str(error).strip().splitlines() or ["no reason is given"]


def free_port(machine: Machine) -> int:
    """Return a port that nobody uses on a machine.

    Raises:
        UserError: the machine is gone.
    """
    ray = _ray()
    try:
        port: int = ray.get(_start(_free_port, machine, num_cpus=0))
    except ray.exceptions.RayError as e:
        raise UserError(f"{machine.address}: the machine is gone: {_lines(e)[0]}") from e
    return port


def _free_port() -> int:
    with socket.create_server(("", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _start(work: Callable[[], Any], machine: Machine, **options: int) -> Any:
    """Call a function on a machine. Return what Ray knows the call by."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(machine.id, soft=False)
    call = _ray().remote(_call).options(max_retries=0, scheduling_strategy=here, **options)
    return call.remote(work)


def _call(work: Callable[[], Any]) -> Any:
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
    os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", str(TRIES))
    try:
        ray = _ray()
    except ModuleNotFoundError as e:
        raise UserError(
            "GUIDELABEL_ENGINE=ray: Ray is not installed; run `pip install 'guidelabel[ray]'`, or "
            "unset GUIDELABEL_ENGINE"
        ) from e
    if not ray.is_initialized():
        _join(ray, os.environ.get("RAY_ADDRESS", ""), show_output=show_output)
    return ray


def _join(ray: ModuleType, address: str, *, show_output: bool) -> None:
    """Connect Ray to the cluster at an address, or as it does without one.

    Raises:
        UserError: nobody answers there, or the cluster refuses us, such as for another version.
    """
    try:
        _knock(address)
        ray.init(include_dashboard=False, log_to_driver=show_output, logging_level="ERROR")
    except (ConnectionError, ValueError) as e:  # Ray raises ValueError for what is no address
        reason = str(e).partition(". ")[0]
        if address:
            raise UserError(
                f"RAY_ADDRESS={address}: no Ray cluster answers ({reason}); correct it, or start "
                "Ray there and on this machine"
            ) from e
        raise UserError(
            f"the Ray of this machine does not answer ({reason}); run `ray stop`, or set "
            "RAY_ADDRESS to a cluster"
        ) from e
    except RuntimeError as e:
        raise UserError(f"Ray refuses to start: {' '.join(str(e).split())}") from e


def _knock(address: str) -> None:
    """Open a connection to HOST:PORT, because Ray would try for minutes.

    Other addresses, such as `auto` and `local`, are left to Ray.

    Raises:
        ConnectionError: nobody answers within PATIENCE_S.
    """
    if match := re.fullmatch(r"(?:ray://)?(.+):(\d+)", address):
        host, port = match[1].strip("[]"), int(match[2])
        try:
            socket.create_connection((host, port), timeout=PATIENCE_S).close()
        except OSError as e:
            raise ConnectionError(e.strerror or str(e)) from e


def _ray() -> ModuleType:
    import ray

    return ray
