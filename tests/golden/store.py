"""Write, read and compare golden values.

A case is a tree of dicts. Its leaves are arrays, numbers or text. Small label images are written
as one text for each row, so that a person can check them by eye: `.` is background, digits are
classes, `*` is contested and `?` is void.
"""

import contextlib
import functools
import hashlib
import json
import math
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np

from pipeline.core.arrays import CONTESTED, VOID

VALUES = Path(__file__).parent / "values"
DIGESTS = "digests"
MARKS = {0: ".", CONTESTED: "*", VOID: "?", **{i: str(i) for i in range(1, 10)}}


@dataclass(frozen=True)
class Case:
    """A function that computes values, and their tolerances.

    Floats are compared with `rel` and `abs`, everything else exactly. `trains`: the case trains a
    network, so differences in rounding grow from step to step, and its bytes are not recorded.
    """

    compute: Callable[[], dict[str, Any]]
    rel: float = 0.0
    abs: float = 1e-6
    trains: bool = False


@contextlib.contextmanager
def steady() -> Iterator[None]:
    """Compute on the CPU, in float32 and with one thread, whatever the machine has."""
    import torch

    threads = torch.get_num_threads()
    fixed = {"DEVICE": "cpu", "PRECISION": "float32", "WORKERS": "1"}
    with mock.patch.dict(os.environ, {f"GUIDELABEL_{k}": v for k, v in fixed.items()}):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def made_with() -> dict[str, str]:
    """Return what influences the last bits of a float: processor and versions of packages."""
    import scipy
    import skimage
    import torch

    return {
        "machine": platform.machine(),
        "processor": _processor(),
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "scikit-image": skimage.__version__,
        "scipy": scipy.__version__,
        "torch": torch.__version__.split("+")[0],
    }


def _processor() -> str:
    """Maker, family and model: processors with the same vector instructions round differently."""
    if not (cpuinfo := Path("/proc/cpuinfo")).exists():
        return platform.processor()
    facts = dict(line.split(":", 1) for line in cpuinfo.read_text().splitlines() if ":" in line)
    named = {key.strip(): value.strip() for key, value in facts.items()}
    return " ".join(named.get(key, "?") for key in ("vendor_id", "cpu family", "model"))


def plain(value: Any) -> Any:
    """Convert a tree to what JSON can hold."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        if (
            value.dtype in (np.uint8, np.bool_)
            and value.ndim == 2
            and {*np.unique(value)} <= {*MARKS}
        ):
            return ["".join(MARKS[int(v)] for v in row) for row in value]
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(f"{float(value):.7g}") if math.isfinite(value) else str(float(value))
    return value.item() if isinstance(value, np.generic) else value


def differences(stored: Any, now: Any, case: Case, name: str = "") -> list[str]:
    """Return a line for each leaf that differs."""
    if isinstance(stored, dict) and isinstance(now, dict):
        pairs = [(k, stored.get(k, "nothing"), now.get(k, "nothing")) for k in {**stored, **now}]
    elif isinstance(stored, list) and isinstance(now, list) and len(stored) == len(now):
        pairs = [(i, a, b) for i, (a, b) in enumerate(zip(stored, now, strict=True))]
    elif isinstance(stored, float) and isinstance(now, float):
        near = math.isclose(stored, now, rel_tol=case.rel, abs_tol=case.abs)
        return [] if near else [f"{name}: stored {stored}, now {now}"]
    else:
        return [] if stored == now else [f"{name}: stored {stored}, now {now}"]
    return [line for k, a, b in pairs for line in differences(a, b, case, f"{name}.{k}".strip("."))]


def digests(value: Any, name: str = "") -> dict[str, str]:
    """Hash the bytes, type and shape of every leaf."""
    if isinstance(value, dict):
        return {k: v for key in value for k, v in digests(value[key], f"{name}.{key}").items()}
    array = np.asarray(value)
    content_hash = hashlib.blake2b(f"{array.dtype.str}{array.shape}".encode(), digest_size=8)
    content_hash.update(np.ascontiguousarray(array).tobytes())
    return {name.strip("."): content_hash.hexdigest()}


def read(name: str) -> Any:
    """Read the stored values. Without a file, the result is empty."""
    path = VALUES / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def write(name: str, value: Any) -> None:
    """Write values, with one line for each innermost list."""
    VALUES.mkdir(exist_ok=True)
    (VALUES / f"{name}.json").write_text(_text(value) + "\n")


def _text(value: Any, depth: int = 0) -> str:
    pad, deeper = " " * depth, " " * (depth + 1)
    if isinstance(value, dict) and value:
        items = [f"{deeper}{json.dumps(k)}: {_text(v, depth + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(items) + f"\n{pad}}}"
    rows = isinstance(value, list) and value and isinstance(value[0], list)
    if rows or (isinstance(value, list) and value and isinstance(value[0], str)):
        return "[\n" + ",\n".join(deeper + _text(v, depth + 1) for v in value) + f"\n{pad}]"
    return json.dumps(value, separators=(",", ":"))


@functools.cache
def computed(case: Case) -> dict[str, Any]:
    """Compute the case's values with the code of today."""
    with steady():
        return case.compute()
