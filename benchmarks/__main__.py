"""`python -m benchmarks [NAME ...]`: measure, print the results, and write data/benchmarks/."""

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


OUT = Path("data/benchmarks")  # docs/benchmarks.md shows one run of all benchmarks, with comments


def main(names: list[str]) -> None:
    """Run the benchmarks `names`; by default all of them, and `scale`."""
    names = names or [*BENCHMARKS, "scale"]
    if unknown := set(names) - {*BENCHMARKS, "scale"}:
        known = ", ".join([*BENCHMARKS, "scale"])
        sys.exit(f"error: no benchmark '{unknown.pop()}'; choose one of {known}")
    OUT.mkdir(parents=True, exist_ok=True)
    for name in names:
        print(f"-- {name}", file=sys.stderr, flush=True)
        text = _scale() if name == "scale" else _ratios(name)
        (OUT / f"{name}.md").write_text(text)
        print(text, flush=True)


def _ratios(name: str) -> str:
    results = record(BENCHMARKS[name]())
    (OUT / f"{name}.json").write_text(json.dumps(results, indent=2) + "\n")
    return markdown(results)


def _scale() -> str:
    runs = scale.measure(OUT / "scale.json")
    scale.plot(runs, OUT / "scale.png")
    return scale.markdown(runs)


if __name__ == "__main__":
    main(sys.argv[1:])
