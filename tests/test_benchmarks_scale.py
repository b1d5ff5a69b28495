"""The benchmarks of engines and of many images, at a tiny size."""

import json
import os
import subprocess
import sys

import pytest

from benchmarks import engines, many
from pipeline.core import formats
from tests.project import ROOT
from tests.test_ray import SITE, skip_without_ray


def test_a_worker_waits_for_its_share_of_the_chunks():
    """101 chunks, one of them the first: 100 take 2 s, 40 ms of each of two workers."""
    runs = [{"start": s, "rest": 2.0} for s in (1.0, 3.0, 2.0)]
    row = engines.row(engines.Side("x", 2), runs, 101)
    assert (row["start_s"], row["chunk_ms"]) == (2.0, pytest.approx(40))
    assert row["image_ms"] == pytest.approx(250)  # of 8 images, 40 ms are 2 %
    assert "| x | 2.00 | 8 | 40.00 | 250.00 |" in engines.markdown({"rows": [row]})


def test_the_engine_computes_all_chunks_in_its_own_time(monkeypatch):
    monkeypatch.setenv("GUIDELABEL_WORKERS", "1")
    seconds = engines.one(20)
    assert 0 < seconds["rest"] < 1 and 0 < seconds["start"] < 10


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """Replace stages by a log that they write. Return the calls."""
    monkeypatch.setattr(many, "OUT", tmp_path / "many")
    monkeypatch.setenv("GUIDELABEL_SHARD", "4")
    monkeypatch.chdir(ROOT)
    calls = []

    def run(work, name):
        calls.append((work.name, name))
        if calls[-1] == ("16", "diffuse") and "failed" not in calls:
            calls.append("failed")
            raise SystemExit(1)
        log = {"seconds": float(work.name) if work.name.isdigit() else 0.0, "peak_mib": 50}
        formats.write_json(work / f"data/log/{name.replace(' ', '_')}.json", log)
        if name == "train_seed":
            formats.write_json(work / "data/models/seed/model.json", {})

    def kill(work, name, *, files):
        calls.append((work.name, name, files))
        return {"files_at_kill": files, "seconds_before_kill": 1.0}

    monkeypatch.setattr(many, "run", run)
    monkeypatch.setattr(many, "kill", kill)
    monkeypatch.setattr(many, "machine", dict)
    return calls


def test_many_continues_with_the_stage_that_failed_and_kills_stages_of_the_largest_run(stub):
    with pytest.raises(SystemExit):
        many.measure(64, kills=2)
    stopped = len(stub)
    table = many.markdown(many.measure(64, kills=2))
    assert stub[stopped] == ("16", "diffuse") and ("4", "fuse") not in stub[stopped:]
    assert [c for c in stub if len(c) == 3] == [("64", "seed", 21), ("64", "fuse", 21)]
    assert "| fuse (killed once) | 4.0 | 16.0 | 65.0 | 1.01 | 50 | 50 | 50 | 0 |" in table
    assert "| diffuse | 4.0 | 16.0 | 64.0 | 1.00 |" in table
    done = len(stub)
    assert many.markdown(many.measure(64, kills=2)) == table and len(stub) == done


def test_many_starts_again_with_other_shards(stub, monkeypatch):
    for shard in ("4", "8"):
        monkeypatch.setenv("GUIDELABEL_SHARD", shard)
        stub.append("failed")
        many.measure(64, kills=0)
    assert stub.count(("64", "fuse")) == 2
    assert "source: classical" in (many.OUT / "64/params.yaml").read_text()


def test_many_gives_its_shards_to_the_stages(monkeypatch):
    """`main` sets the variable, and a stage inherits it."""
    monkeypatch.setenv("GUIDELABEL_SHARD", "")
    monkeypatch.setattr("sys.argv", ["many", "--shard", "7"])
    monkeypatch.setattr(many, "measure", lambda *_, **__: {"runs": {}})
    monkeypatch.setattr(many, "markdown", lambda _: "")
    many.main()
    asked = []
    monkeypatch.setattr(subprocess, "Popen", lambda *_, env, **__: asked.append(env))
    many.stage(ROOT, "fuse")
    assert asked[0]["GUIDELABEL_SHARD"] == "7"


@pytest.mark.slow
def test_many_kills_a_stage_and_runs_it_again(tmp_path, monkeypatch):
    monkeypatch.setattr(many, "OUT", tmp_path / "many")
    monkeypatch.setenv("GUIDELABEL_SHARD", "50")
    monkeypatch.chdir(ROOT)
    work = many.OUT / "300"
    many.lay_out(work, count=300)
    many.run(work, "generate")
    row = many.measure_stage(work, "prepare", kill_at=20)
    assert 20 <= row["files_at_kill"] < 332 and row["seconds_before_kill"] > 0
    assert row["files"] == 5 + 2 * 7 + 1  # tables; tars of 330 masks with their indices; the ranges


@pytest.mark.slow
def test_engines_with_ray(tmp_path):
    skip_without_ray()
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(SITE)])}
    command = [sys.executable, "-m", "benchmarks.engines", "--chunks", "20", "--repeats", "1"]
    subprocess.run(command, cwd=tmp_path, env=env, check=True)
    results = json.loads((tmp_path / "data/benchmarks/engines.json").read_text())
    starts = [row["start_s"] for row in results["rows"]]
    assert len(starts) == len(engines.SIDES)
    assert min(starts[2:]) > max(starts[:2])  # Ray starts later
