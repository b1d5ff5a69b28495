"""How every stage runs: load its slice of params.yaml, run, exit code; bad input is one line."""

import resource
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any

from pipeline import formats, params
from pipeline.errors import UserError
from pipeline.layout import Layout


def main(run: Callable[..., None], **slices: tuple[str, type[Any]]) -> None:
    """Run a stage with its params.

    Args:
        run: takes the layout, and one keyword for each of `slices`.
        slices: keyword -> (dotted name in params.yaml, its model). They equal what dvc.yaml
            declares for the stage.
    """
    layout, start = Layout(), time.monotonic()
    name = sys.modules["__main__"].__spec__.name.split(".")[-1]  # type: ignore[union-attr]
    try:
        run(layout, **load(layout, slices))
    except UserError as e:
        print(f"error: {name}: {e}", file=sys.stderr)
        sys.exit(1)
    name = "_".join([name, *sys.argv[1:]])
    for leftover in layout.resume.glob(f"{name}-*"):
        shutil.rmtree(leftover)
    _log(layout, name, time.monotonic() - start)


def load(layout: Layout, slices: dict[str, tuple[str, type[Any]]]) -> dict[str, Any]:
    """The validated slices of params.yaml."""
    values = params.read_yaml(layout.params)
    return {key: params.section(values, name, model) for key, (name, model) in slices.items()}


def _log(layout: Layout, name: str, seconds: float) -> None:
    """Time and peak memory, beside the outputs, never inside: outputs must be byte-stable."""
    peak = max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    record = {"seconds": round(seconds, 1), "peak_mib": round(peak / 1024)}
    formats.write_json(layout.log / f"{name}.json", record)
