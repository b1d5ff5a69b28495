"""A comparison: warm-up, then both sides in turn, median and quartiles of the ratios."""

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
Side = Callable[[], int]  # does its work once; how many items that was


@dataclass(frozen=True)
class Row:
    """One comparison; `ratio` is ours over the peer in items a second, unless `unit` says more."""

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
    """Run both sides once to warm up, then in turn, first one and then the other in front.

    The machine's speed drifts, so a ratio is taken of neighbours and the median of the ratios.
    """
    for side in (ours, theirs):
        side()
    speeds = []
    for i in range(repeats):
        pair = {side: _speed(side) for side in ((ours, theirs) if i % 2 else (theirs, ours))}
        speeds.append((pair[ours], pair[theirs]))
    ratios = [a / b for a, b in speeds]
    low, _, high = statistics.quantiles(ratios, n=4)
    mine, other = (statistics.median(column) for column in zip(*speeds, strict=True))
    ratio = statistics.median(ratios)
    return Row(what, peer, unit, mine, other, ratio, low, high, reach, repeats, note)


def _speed(side: Side) -> float:
    runtime.keep_memory()  # what the other side has left goes back: both begin as a stage does
    start = time.perf_counter()
    items = side()
    _synchronise()
    return items / (time.perf_counter() - start)


def _synchronise() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
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
    """Everything as JSON."""
    return {"machine": machine(), "rows": [asdict(row) for row in rows]}


def markdown(found: dict[str, Any]) -> str:
    """The table of docs/benchmarks.md."""
    lines = ["| what | ours | compared with | theirs | ratio (quartiles) | to reach |"]
    lines.append("|" + "---|" * 6)
    for r in found["rows"]:
        spread = f"**{r['ratio']:.2f}** ({r['low']:.2f} to {r['high']:.2f})"
        cells = (r["what"], f"{r['ours']:.3g} {r['unit']}", r["peer"], f"{r['theirs']:.3g}")
        lines.append("| " + " | ".join((*cells, spread, r["reach"])) + " |")
    about = ", ".join(f"{k} {v}" for k, v in found["machine"].items())
    notes = [f"- {r['what']}: {r['note']}" for r in found["rows"] if r["note"]]
    return "\n".join([*lines, "", f"Measured on: {about}.", "", *notes]) + "\n"
