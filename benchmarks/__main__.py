"""`python -m benchmarks [NAME ...]`: measure, print, and write data/benchmarks/."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import networks, per_image, scale
from benchmarks.measure import Row, markdown, record

BENCHMARKS: dict[str, Callable[[], list[Row]]] = {
    "guides": per_image.guides,
    "crf": per_image.crf_pool,
    "evaluation": per_image.evaluation,
    "class_maps": networks.class_maps,
    "training": networks.training,
    "interleaved": networks.interleaved,
}


OUT = Path("data/benchmarks")  # docs/benchmarks.md is one such run with our remarks


def main(names: list[str]) -> None:
    """Measure the benchmarks `names`, or all of them and how the chain scales."""
    rows, found = [], {}
    OUT.mkdir(parents=True, exist_ok=True)
    for name in [n for n in names or [*BENCHMARKS, "scale"] if n != "scale"]:
        print(f"-- {name}", file=sys.stderr, flush=True)
        rows += BENCHMARKS[name]()
        found = record(rows)
        (OUT / "benchmarks.json").write_text(json.dumps(found, indent=2) + "\n")
        (OUT / "benchmarks.md").write_text(markdown(found))
    if not names or "scale" in names:
        grown = scale.measure(OUT / "scale.json")
        (OUT / "scale.md").write_text(scale.markdown(grown))
        scale.plot(grown, OUT / "scale.png")
    for path in sorted(OUT.glob("*.md")):
        print(path.read_text())


if __name__ == "__main__":
    main(sys.argv[1:])
