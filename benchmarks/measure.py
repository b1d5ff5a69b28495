"""Compare the speed of two sides: warm-up, both sides in turn, median and quartiles of ratios."""

import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from pipeline.core import runtime

PACKAGES = ("torch", "torchvision", "numpy", "opencv-python-headless", "pydensecrf2", "dvc")
Side = Callable[[], int]  # does its work once, and returns the number of items


@dataclass(frozen=True)
class Row:
    """One comparison. `what` is measured, `ratio` is our speed divided by the peer's.

    `ours` and `theirs` are the median speeds in `unit`. `low` and `high` are the quartiles of the
    ratios. `reach` is the ratio that we aim at.
    """

    what: str
    peer: str
    unit: str
    ours: float
    theirs: float
    ratio: float
    low: float
    high: float
    reach: str
    repeats: int
    note: str = ""


def compare(
    what: str, ours: Side, theirs: Side, *, peer: str, unit: str, reach: str, repeats: int = 7,
    note: str = "",
) -> Row:  # fmt: skip
    """Run both sides once to warm up, then in turn. Which side goes first alternates.

    The machine's speed drifts. So each ratio compares two neighbouring runs, and `ratio` is the
    median of these ratios.
    """
    for side in (ours, theirs):
        side()
    speeds = []
    for i in range(repeats):
        pair = {side: _speed(side) for side in ((ours, theirs) if i % 2 else (theirs, ours))}
        speeds.append((pair[ours], pair[theirs]))
    ratios = [a / b for a, b in speeds]
    low, _, high = statistics.quantiles(ratios, n=4)
    our_speed, peer_speed = (statistics.median(column) for column in zip(*speeds, strict=True))
    ratio = statistics.median(ratios)
    return Row(what, peer, unit, our_speed, peer_speed, ratio, low, high, reach, repeats, note)


def _speed(side: Side) -> float:
    """Items a second of one run."""
    runtime.keep_memory()  # frees what the other side left, so that each begins as a stage does
    start = time.perf_counter()
    items = side()
    _synchronise()
    return items / (time.perf_counter() - start)


def _synchronise() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def machine() -> dict[str, Any]:
    """Describe the machine: processor, memory, GPU, and versions of packages."""
    import torch

    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "precision": runtime.describe()["precision"],
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def record(rows: list[Row]) -> dict[str, Any]:
    """Return the machine and all comparisons as JSON can hold them."""
    return {"machine": machine(), "rows": [asdict(row) for row in rows]}


def markdown(results: dict[str, Any]) -> str:
    """Format the results of `record` as the table of docs/benchmarks.md."""
    lines = ["| what | ours | compared with | theirs | ratio (quartiles) | to reach |"]
    lines.append("|" + "---|" * 6)
    for r in results["rows"]:
        spread = f"**{r['ratio']:.2f}** ({r['low']:.2f} to {r['high']:.2f})"
        cells = (r["what"], f"{r['ours']:.3g} {r['unit']}", r["peer"], f"{r['theirs']:.3g}")
        lines.append("| " + " | ".join((*cells, spread, r["reach"])) + " |")
    machine_text = ", ".join(f"{k} {v}" for k, v in results["machine"].items())
    notes = [f"- {r['what']}: {r['note']}" for r in results["rows"] if r["note"]]
    return "\n".join([*lines, "", f"Measured on: {machine_text}.", "", *notes]) + "\n"
