"""`python -m benchmarks.engines`: what an engine takes before its first chunk, and for each chunk.

The engines are `local` and `ray`, Ray on one, two or four nodes of one core each, all on this
machine. The work does nothing, so that all the time is the engine's. Ray must be importable:

    make ray
    PYTHONPATH=$(echo .tools/ray/lib/python3*/site-packages) python -m benchmarks.engines

Each run is a process of its own, as a stage is. Which engine comes first alternates.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import machine
from pipeline.core import engine, ray_cluster
from pipeline.core.errors import UserError
from pipeline.core.samples import Sample

OUT = Path("data/benchmarks")
SHARE = 0.02  # of a chunk's time that the engine may take


@dataclass(frozen=True)
class Side:
    """An engine with its workers."""

    name: str
    workers: int
    nodes: int = 0  # of the Ray cluster; 0: local

    @property
    def chunk(self) -> int:
        """The images of a chunk, as the engine makes them if there are many."""
        return ray_cluster.CHUNK if self.nodes else engine.Place.chunk


SIDES = (
    Side("local, one process", 1),
    Side("local, two processes", 2),
    Side("Ray, one node", 1, nodes=1),
    Side("Ray, two nodes", 2, nodes=2),
    Side("Ray, four nodes", 4, nodes=4),
)


def nothing(_: Sample) -> None:
    """Stand in for the work of a stage."""


def one(images: int) -> dict[str, float]:
    """Run the engine that the environment names. Return the seconds of its parts."""
    start = time.perf_counter()
    sample = Sample("a" * 12, Path("data/raw/a.jpg"), "train", ("cat", "dog"), 375, 500, "0" * 16)
    results = engine.each(nothing, [sample] * images, title="nothing")
    next(results)
    first = time.perf_counter()
    list(results)
    return {"start": first - start, "rest": time.perf_counter() - first}


@contextlib.contextmanager
def cluster(nodes: int) -> Iterator[dict[str, str]]:
    """Start a Ray cluster of nodes with one core. Yield the environment that leads to it."""
    if not nodes:
        yield {"GUIDELABEL_ENGINE": "local"}
        return
    try:
        from ray.cluster_utils import Cluster
    except ModuleNotFoundError as e:
        raise UserError("Ray is not installed; run `make ray`, and see the first lines here") from e
    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        for _ in range(nodes - 1):
            started.add_node(num_cpus=1)
        yield {"GUIDELABEL_ENGINE": "ray", "RAY_ADDRESS": started.address}
    finally:
        started.shutdown()


def run(side: Side, chunks: int) -> dict[str, float]:
    """Run one side in a process of its own."""
    with cluster(side.nodes) as env:
        workers = {"GUIDELABEL_WORKERS": str(side.workers), "RAY_USAGE_STATS_ENABLED": "0"}
        command = [sys.executable, "-m", "benchmarks.engines", "--one", str(chunks * side.chunk)]
        done = subprocess.run(
            command, env={**os.environ, **env, **workers}, stdout=subprocess.PIPE, check=True
        )
    return json.loads(done.stdout)


def row(side: Side, runs: Sequence[dict[str, float]], chunks: int) -> dict[str, Any]:
    """Return the medians: seconds before the first chunk, and a worker's for each chunk."""
    each = statistics.median(r["rest"] for r in runs) / (chunks - 1) * side.workers
    start = statistics.median(r["start"] for r in runs)
    return {"engine": side.name, "start_s": start, "images": side.chunk, "chunk_ms": 1e3 * each,
            "image_ms": 1e3 * each / SHARE / side.chunk, "runs": list(runs)}  # fmt: skip


def measure(sides: Sequence[Side], *, chunks: int, repeats: int) -> dict[str, Any]:
    """Run all sides in turn, `repeats` times. Return the machine and a row for each side."""
    runs: dict[Side, list[dict[str, float]]] = {side: [] for side in sides}
    for i in range(repeats):
        for side in sides if i % 2 else reversed(sides):
            runs[side].append(run(side, chunks))
            print(f"{i + 1}/{repeats} {side.name}: {runs[side][-1]}", file=sys.stderr, flush=True)
    rows = [row(side, runs[side], chunks) for side in sides]
    return {"machine": machine(), "chunks": chunks, "rows": rows}


def markdown(results: dict[str, Any]) -> str:
    """Format the table of docs/benchmarks.md."""
    lines = [
        "| engine | start of a stage, s | images a chunk | a chunk, ms | 50 times, ms an image |",
        "|---|---:|---:|---:|---:|",
    ]
    for r in results["rows"]:
        numbers = f"{r['images']} | {r['chunk_ms']:.2f} | {r['image_ms']:.2f}"
        lines.append(f"| {r['engine']} | {r['start_s']:.2f} | {numbers} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print the table, and write data/benchmarks/engines.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", type=int, metavar="IMAGES", help="run the engine once, here")
    parser.add_argument("--chunks", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(one(args.one)))
        return
    results = measure(SIDES, chunks=args.chunks, repeats=args.repeats)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "engines.json").write_text(json.dumps(results, indent=2) + "\n")
    print(markdown(results), end="")


if __name__ == "__main__":
    try:
        main()
    except UserError as e:
        sys.exit(f"error: {e}")
