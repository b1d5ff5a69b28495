"""What we ask of Ray, and what is said if it does not answer. Ray itself is not needed."""

import os
import socket
from types import SimpleNamespace

import pytest

from pipeline.core import ray_cluster
from pipeline.core.errors import UserError
from stages import _on_ray


def cluster(*nodes):
    """Stand in for Ray, connected to a cluster of `nodes`."""
    listed = [
        {"Alive": True, "Resources": n, "NodeID": "", "NodeManagerAddress": ""} for n in nodes
    ]
    listed += [{"Alive": False}]
    return SimpleNamespace(
        is_initialized=lambda: True,
        nodes=lambda: listed,
        exceptions=SimpleNamespace(**{n: type(n, (Exception,), {}) for n in ray_cluster.GONE}),
    )


@pytest.mark.parametrize("nodes, network, workers, count, cores, gpus", [
    ([{"CPU": 64.0, "GPU": 8.0}, {"CPU": 16.0, "GPU": 2.0}], True, "", 10, 8, 1),
    ([{"CPU": 64.0, "GPU": 8.0}, {"CPU": 16.0}], True, "4", 8, 4, 1),
    ([{"CPU": 64.0, "GPU": 8.0}, {"CPU": 16.0}], False, "", 80, 1, 0),
    ([{"CPU": 64.0}, {"CPU": 40.0}], True, "", 6, 16, 0),
    ([{"CPU": 64.0}, {"CPU": 2.0}, {"memory": 1.0}], True, "", 33, 2, 0),
    ([{"CPU": 2.0}, {"CPU": 2.0}], True, "1", 4, 1, 0),
])  # fmt: skip
def test_an_actor_gets_a_gpu_or_cores(monkeypatch, nodes, network, workers, count, cores, gpus):
    monkeypatch.setattr(ray_cluster, "_ray", lambda: cluster(*nodes))
    monkeypatch.setenv("GUIDELABEL_WORKERS", workers)
    place = ray_cluster.place(network)
    options = place.start.keywords["options"]
    assert (place.count, options) == (count, {"num_cpus": cores, "num_gpus": gpus})


def joining(monkeypatch, address, error=None):
    """Stand in for Ray, which is to join `address`. Return the calls of `init`."""
    calls = []

    def init(**_):
        calls.append(address)
        if error:
            raise error

    ray = SimpleNamespace(is_initialized=lambda: False, init=init)
    monkeypatch.setattr(ray_cluster, "_ray", lambda: ray)
    monkeypatch.setenv("RAY_ADDRESS", address)
    return calls


@pytest.mark.parametrize("address, error, line", [
    ("foo", ValueError("Invalid address format: foo"),
     r"RAY_ADDRESS=foo: no Ray cluster answers \(Invalid address format: foo\); correct it"),
    ("auto", ConnectionError("Could not find any running Ray instance. Please specify the one"),
     r"RAY_ADDRESS=auto: no Ray cluster answers \(Could not find any running Ray instance\); "),
    ("", ConnectionError("Failed to connect to Ray cluster at 10.0.0.1:6379"),
     r"the Ray of this machine does not answer \(Failed to connect .*\); run `ray stop`, or set"),
    ("", RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.40.0"),
     r"Ray refuses to start: Version mismatch: The cluster was started with: Ray: 2\.40\.0$"),
])  # fmt: skip
def test_a_ray_that_cannot_be_joined_is_one_line(monkeypatch, address, error, line):
    joining(monkeypatch, address, error)
    with pytest.raises(UserError, match="^" + line):
        ray_cluster.machines(network=False)


@pytest.fixture
def closed():
    """Return a port of this machine at which nobody listens."""
    with socket.socket() as held:  # bound, so that nobody else takes it
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.mark.parametrize("address", ["127.0.0.1:{}", "localhost:{}", "ray://127.0.0.1:{}"])
def test_an_address_where_nobody_listens_is_refused_before_ray_waits_for_it(
    monkeypatch, closed, address
):
    """Ray 2.60 tries for 14 minutes."""
    address = address.format(closed)
    calls = joining(monkeypatch, address)
    with pytest.raises(UserError) as end:
        ray_cluster.machines(network=False)
    line = f"RAY_ADDRESS={address}: no Ray cluster answers (Connection refused); correct it, or"
    assert str(end.value).startswith(line)
    assert not calls


def test_a_machine_that_is_silent_is_given_up_after_seconds(monkeypatch):
    def connect(address, *, timeout):
        assert timeout < 10
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "create_connection", connect)
    joining(monkeypatch, "10.0.0.1:6379")
    with pytest.raises(UserError, match=r"no Ray cluster answers \(timed out\); correct it, or"):
        ray_cluster.machines(network=False)


@pytest.mark.parametrize("address, asked", [
    ("", []),
    ("auto", []),
    ("local", []),
    ("10.0.0.1:6379", [("10.0.0.1", 6379)]),
    ("[::1]:6379", [("::1", 6379)]),
    ("ray://first:10001", [("first", 10001)]),
    ("ray://first", []),
])  # fmt: skip
def test_ray_joins_what_answers_and_finds_what_has_no_address(monkeypatch, address, asked):
    seen = []
    connect = lambda address, **_: seen.append(address) or socket.socket()  # noqa: E731
    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setenv("RAY_NUM_REDIS_GET_RETRIES", "")
    monkeypatch.delenv("RAY_NUM_REDIS_GET_RETRIES")
    calls = joining(monkeypatch, address)
    with pytest.raises(AttributeError, match="nodes"):  # what it asks of Ray next
        ray_cluster.machines(network=False)
    assert (calls, seen) == ([address], asked)
    assert int(os.environ["RAY_NUM_REDIS_GET_RETRIES"]) < 5  # each try may take 40 s


def test_a_cluster_without_cores_is_one_line(monkeypatch):
    monkeypatch.setattr(ray_cluster, "_ray", lambda: cluster({"memory": 1.0}))
    with pytest.raises(UserError, match=r"^no machine of the Ray cluster has cores; start one"):
        ray_cluster.place(network=True)


def test_memory_on_ray_is_answered_by_what_sets_its_processes(monkeypatch):
    monkeypatch.setattr(ray_cluster, "_ray", lambda: cluster({"CPU": 2.0}))
    place = ray_cluster.place(network=True)
    assert place.advice.startswith("start Ray with a lower --num-cpus") and place.chunk == 64


MACHINES = [ray_cluster.Machine("a", "10.0.0.1", 8, 2), ray_cluster.Machine("b", "10.0.0.2", 9, 0)]


def test_the_torchruns_meet_at_a_port_that_is_free_on_the_first_machine(monkeypatch):
    """Another torchrun may hold the usual port there."""
    started = []
    monkeypatch.setattr(ray_cluster, "machines", lambda **_: MACHINES)
    monkeypatch.setattr(ray_cluster, "free_port", {MACHINES[0]: 4321}.get)
    monkeypatch.setattr(ray_cluster, "at_once", lambda works: started.extend(works) or "")
    monkeypatch.setenv("GUIDELABEL_DEVICE", "cpu")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    _on_ray.main(["-m", "stages", "train_seed"])
    meet = ["--nnodes=2", "--master-addr=10.0.0.1", "--master-port=4321"]
    assert [machine for machine, _ in started] == MACHINES
    for number, (_, work) in enumerate(started):
        options, _, settings = work.args
        ranks = (2, 1)[number]
        assert options == [f"--nproc-per-node={ranks}", *meet, f"--node-rank={number}",
                           "-m", "stages", "train_seed"]  # fmt: skip
        assert settings["GUIDELABEL_DEVICE"] == "cpu"
        assert settings["OMP_NUM_THREADS"] == ("4", "9")[number]


def test_a_free_port_can_be_taken():
    port = ray_cluster._free_port()
    socket.create_server(("", port)).close()


class TaskError(Exception):
    pass


class LostError(Exception):
    pass


@pytest.mark.parametrize("error, line", [
    (TaskError("ray::_call() (pid=1)\n  File x\nFileNotFoundError: no /project\n"),
     "error: 10.0.0.2: FileNotFoundError: no /project"),
    (LostError("The node died.\nSee its logs."),
     "error: 10.0.0.2: a process or the machine is gone: The node died."),
    (LostError(""), "error: 10.0.0.2: a process or the machine is gone: no reason is given"),
])  # fmt: skip
def test_what_went_wrong_on_a_machine_is_one_line_that_names_it(monkeypatch, error, line):
    def get(machine):
        if machine == MACHINES[1]:
            raise error
        return ""

    ray = SimpleNamespace(
        wait=lambda running: (running[:1], running[1:]), get=get,
        exceptions=SimpleNamespace(RayTaskError=TaskError, RayError=(TaskError, LostError)),
    )  # fmt: skip
    monkeypatch.setattr(ray_cluster, "_ray", lambda: ray)
    monkeypatch.setattr(ray_cluster, "_start", lambda work, machine, **_: machine)
    assert ray_cluster.at_once([(machine, str) for machine in MACHINES]) == line
