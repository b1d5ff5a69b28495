"""The engine: what it computes, what it computes again, and how it ends."""

import os
import re
import weakref
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from threading import Timer
from types import SimpleNamespace

import pytest

from pipeline.core import engine, ray_cluster
from pipeline.core.errors import UserError
from tests.contracts.imports import ROOT, imports

STAGES = sorted((ROOT / "stages").glob("*.py"))


class Squares:
    """Writes the square of each item. The chunk with `bad` fails until it has failed `times`."""

    def __init__(self, folder, bad=None, times=1, fail=lambda: 1 / 0):
        (folder / f"made-{os.getpid()}-{len(list(folder.glob('made-*')))}").touch()
        self.folder, self.bad, self.times, self.fail = folder, bad, times, fail

    def __call__(self, chunk):
        for item in chunk:
            failed = len(list(self.folder.glob("failed-*")))
            if item.id == self.bad and failed < self.times:
                (self.folder / f"failed-{failed}").touch()
                self.fail()
            (self.folder / f"{item.id}.txt").write_text(str(item.id**2))
        return [item.id for item in chunk]


def items(count=40):
    return [SimpleNamespace(id=i) for i in range(count)]


def run(folder, *, network=False, **kw):
    work = engine.Once(partial(Squares, folder, **kw))
    results = engine.run(work, [[i] for i in items()], title="test", network=network)
    return [i for result in results for i in result]


def files(folder):
    return {int(p.stem): int(p.read_text()) for p in folder.glob("*.txt")}


@pytest.fixture(params=["1", "2"], ids=["one worker", "two workers"])
def workers(request, monkeypatch):
    monkeypatch.setenv("GUIDELABEL_WORKERS", request.param)
    return int(request.param)


def test_every_item_is_computed_once_and_in_order(tmp_path, workers):
    assert run(tmp_path) == list(range(40))
    assert files(tmp_path) == {i: i**2 for i in range(40)}
    assert 1 <= len(list(tmp_path.glob("made-*"))) <= workers


def test_a_network_stays_in_this_process_and_is_made_once(tmp_path, monkeypatch):
    monkeypatch.setenv("GUIDELABEL_WORKERS", "2")
    assert run(tmp_path, network=True) == list(range(40))
    assert [p.name.split("-")[1] for p in tmp_path.glob("made-*")] == [str(os.getpid())]


def test_the_items_of_a_unit_stay_together_and_an_empty_run_makes_nothing(tmp_path):
    units = [items(3), items(2), items(4)]
    chunks = list(engine.run(engine.Once(lambda: len), units, title="test", network=True))
    assert chunks == [3, 2, 4]
    assert not list(engine.run(engine.Once(partial(Squares, tmp_path)), [], title="test"))
    assert not list(tmp_path.iterdir())


def test_a_chunk_that_fails_once_is_computed_again(tmp_path, workers):
    assert run(tmp_path, bad=11) == list(range(40))
    assert files(tmp_path) == {i: i**2 for i in range(40)}


def test_a_chunk_that_fails_twice_ends_the_run_with_its_ids_and_keeps_the_rest(tmp_path, workers):
    with pytest.raises(ZeroDivisionError) as end:
        run(tmp_path, bad=11, times=2)
    (note,) = end.value.__notes__
    failed = list(map(int, re.findall(r"\d+", note)))
    assert note.startswith("failed twice: ") and 11 in failed and len(failed) <= 8
    assert files(tmp_path) and all(value == i**2 for i, value in files(tmp_path).items())
    assert 11 not in files(tmp_path)


def no_memory():
    raise MemoryError


def test_a_fault_of_the_machine_is_one_line_with_the_ids(tmp_path, workers):
    with pytest.raises(UserError, match=r"^memory ran out; .*\(failed twice: .*\b11\b"):
        run(tmp_path, bad=11, times=2, fail=no_memory)


def killed():
    os._exit(137)


def test_a_killed_worker_costs_one_chunk(tmp_path, monkeypatch):
    monkeypatch.setenv("GUIDELABEL_WORKERS", "2")
    assert run(tmp_path, bad=11, fail=killed) == list(range(40))
    assert files(tmp_path) == {i: i**2 for i in range(40)}
    with pytest.raises(UserError, match=r"GUIDELABEL_WORKERS to less than 2, .*: .*\b11\b"):
        run(tmp_path, bad=11, times=3, fail=killed)


class Hoards:
    """Fails at first. It holds much memory when it does."""

    def __init__(self):
        self.held = []

    def __call__(self, chunk):
        assert [ref() for ref in self.held] in ([], [None])
        much = Squares.__new__(Squares)  # stands in for an array
        self.held.append(weakref.ref(much))
        try:
            return 1 / (len(self.held) - 1)
        except ZeroDivisionError as e:
            raise RuntimeError("chained") from e


def test_a_chunk_that_fails_gives_its_memory_back_before_the_second_try():
    assert list(engine.run(engine.Once(Hoards), [items(1)], title="test", network=True)) == [1]


def refuse():
    raise UserError("a.jpg: is no image; replace it")


class Dead:
    """A worker that dies before its first chunk."""

    def submit(self, chunk):
        future = Future()
        future.set_exception(ConnectionError("it died\nNo module named 'pipeline'"))
        return future

    def stop(self):
        pass


def test_a_worker_that_does_not_start_is_one_line_without_images(tmp_path, monkeypatch):
    place = engine.Place(lambda work: Dead(), 1, (ConnectionError,))
    monkeypatch.setattr(engine, "_place", lambda network, units: place)
    with pytest.raises(UserError, match=r"^no worker process starts: No module named 'pipeline'; "):
        run(tmp_path)


class Mortal:
    """A worker that computes at once. `die` says when it is dead, by its number and the chunk."""

    def __init__(self, work, workers, die):
        self.work, self.number, self.die, self.stopped = work, len(workers), die, False
        workers.append(self)

    def submit(self, chunk):
        assert not self.stopped
        if self.die(self.number, [item.id for item in chunk]):
            raise ConnectionError("it is dead")
        future = Future()
        try:
            future.set_result(engine.compute(self.work, chunk))
        except (ArithmeticError, MemoryError, WrappedError) as e:
            future.set_exception(e)
        return future

    def stop(self):
        self.stopped = True


@pytest.fixture
def mortal(monkeypatch):
    """Return a function that sets workers which die as it says, and returns them."""

    def use(count=2, die=lambda number, ids: False, chunk=8):
        workers = []
        place = engine.Place(
            lambda work: Mortal(work, workers, die), count, (ConnectionError,), "add memory", chunk
        )
        monkeypatch.setattr(engine, "_place", lambda network, units: place)
        return workers

    return use


def test_a_worker_that_died_after_its_last_chunk_costs_one_attempt(tmp_path, mortal):
    workers = mortal(die=lambda number, ids: number == 1 and ids != [])
    assert run(tmp_path) == list(range(40))
    assert len(workers) == 3 and all(worker.stopped for worker in workers)
    mortal(die=lambda number, ids: ids != [])
    with pytest.raises(UserError, match=r"^a worker process was killed twice, .*; add memory \("):
        run(tmp_path)


def test_memory_that_runs_out_is_answered_by_the_advice_of_the_place(tmp_path, mortal):
    """On a cluster, GUIDELABEL_WORKERS does not say how many processes there are."""
    mortal()
    with pytest.raises(UserError, match=r"^memory ran out; add memory \(failed twice: .*\b11\b"):
        run(tmp_path, bad=11, times=2, fail=no_memory)


@pytest.mark.parametrize("chunk", [8, 64])
def test_a_place_says_how_large_a_chunk_is_where_there_are_many_items(mortal, chunk):
    """Four chunks for each worker at least, so that none waits long for the last one."""
    mortal(chunk=chunk)
    for count, size in ((3000, chunk), (40, 5), (3, 1)):
        units = [[i] for i in items(count)]
        sizes = list(engine.run(engine.Once(lambda: len), units, title="test"))
        assert max(sizes) == sizes[0] == size and sum(sizes) == count


class WrappedError(Exception):
    """What Ray makes of an error: its text is the traceback."""

    def __init__(self, cause):
        super().__init__("Traceback of the worker")
        self.cause = cause


def wrapped():
    raise WrappedError(ZeroDivisionError("division by zero"))


def test_a_bug_in_another_machine_shows_its_traceback(tmp_path, mortal):
    mortal()
    with pytest.raises(ZeroDivisionError, match=r"^division by zero") as end:
        run(tmp_path, bad=11, times=2, fail=wrapped)
    assert str(end.value.__cause__) == "Traceback of the worker"
    assert end.value.__notes__[0].startswith("failed twice: ")


def broken(path):
    raise LookupError(path)


def test_a_chunk_of_files_is_named_by_them(workers):
    with pytest.raises(LookupError) as end:
        list(engine.each(broken, [("image", Path("a/b.jpg"))], title="test"))
    assert end.value.__notes__ == ["failed twice: a/b.jpg"]


def test_another_worker_computes_a_chunk_that_failed(tmp_path, mortal):
    """The first one may be ill, as after an error of CUDA."""
    workers = mortal(count=1)
    assert run(tmp_path, bad=11) == list(range(40))
    assert [worker.stopped for worker in workers] == [True, True]


def test_no_worker_waits_where_nothing_is_left(mortal, monkeypatch):
    """Those of a machine that dies meanwhile would cost a failed chunk its second attempt."""
    workers, seen, late = mortal(), [], Future()

    def finish():
        seen.extend(worker.stopped for worker in workers)
        late.set_result(1)

    def submit(worker, chunk, at_once=Mortal.submit):
        if worker.number == 0 or not chunk:
            return at_once(worker, chunk)
        Timer(0.2, finish).start()
        return late

    monkeypatch.setattr(Mortal, "submit", submit)
    units = [[i] for i in items(2)]
    assert list(engine.run(engine.Once(lambda: len), units, title="test")) == [1, 1]
    assert seen == [True, False]


def test_bad_input_is_not_tried_twice(tmp_path, workers):
    with pytest.raises(UserError, match=r"^a\.jpg: is no image; replace it$"):
        run(tmp_path, bad=11, times=9, fail=refuse)
    assert len(list(tmp_path.glob("failed-*"))) == 1


def test_an_unknown_engine_is_one_line(monkeypatch):
    monkeypatch.setenv("GUIDELABEL_ENGINE", "dask")
    with pytest.raises(UserError, match=r"^GUIDELABEL_ENGINE=dask: must be local or ray$"):
        engine.on_ray()


def test_the_ranks_of_a_training_do_without_ray(monkeypatch):
    monkeypatch.setenv("GUIDELABEL_ENGINE", "ray")
    assert engine.on_ray()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    assert not engine.on_ray()


def test_ray_that_is_not_installed_is_one_line(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    monkeypatch.setenv("GUIDELABEL_ENGINE", "ray")
    with pytest.raises(UserError, match=r"Ray is not installed; run `pip install"):
        list(engine.each(str, [1], title="test"))


@pytest.mark.parametrize("path", STAGES, ids=lambda p: p.stem)
def test_a_stage_knows_no_engine(path):
    """It says what to do with a chunk, and `_resume` gives that to the engine.

    `_on_ray` is no stage. It starts the ranks of trainings.
    """
    core = {p.stem for p in imports(path) if p.parent.name == "core"}
    assert not core & {"engine", "local_processes", "ray_cluster"} or path.stem in (
        "_resume",
        "_on_ray",
    )


def test_only_one_module_imports_ray():
    folders = (ROOT / "pipeline", ROOT / "stages", ROOT / "app")
    code = [p for folder in folders for p in folder.rglob("*.py")]
    named = [p for p in code if re.search(r"^\s*(import|from) ray\b", p.read_text(), re.M)]
    assert named == [Path(ray_cluster.__file__)]
