"""`python -m benchmarks [NAME ...]`: measure, print, and write docs/benchmarks.json and .md."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import networks, per_image
from benchmarks.measure import Row, markdown, record

BENCHMARKS: dict[str, Callable[[], list[Row]]] = {
    "guides": per_image.guides,
    "crf": per_image.crf_pool,
    "evaluation": per_image.evaluation,
    "class_maps": networks.class_maps,
    "training": networks.training,
}


def main(names: list[str]) -> None:
    """Measure the benchmarks `names`, or all of them."""
    rows = []
    for name in names or BENCHMARKS:
        print(f"-- {name}", file=sys.stderr, flush=True)
        rows += BENCHMARKS[name]()
    found = record(rows)
    print(markdown(found))
    if not names:
        Path("docs/benchmarks.json").write_text(json.dumps(found, indent=2) + "\n")
        head = "# Benchmarks\n\n`make bench` measures this. Medians; both sides in turn in one run.\n\n"
        Path("docs/benchmarks.md").write_text(head + markdown(found))


if __name__ == "__main__":
    main(sys.argv[1:])
