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
    names = names or [*BENCHMARKS, "scale"]
    if unknown := set(names) - {*BENCHMARKS, "scale"}:
        sys.exit(f"no benchmark {unknown.pop()}; there are {', '.join(BENCHMARKS)}, scale")
    OUT.mkdir(parents=True, exist_ok=True)
    for name in names:
        print(f"-- {name}", file=sys.stderr, flush=True)
        text = _scale() if name == "scale" else _ratios(name)
        (OUT / f"{name}.md").write_text(text)
        print(text, flush=True)


def _ratios(name: str) -> str:
    found = record(BENCHMARKS[name]())
    (OUT / f"{name}.json").write_text(json.dumps(found, indent=2) + "\n")
    return markdown(found)


def _scale() -> str:
    grown = scale.measure(OUT / "scale.json")
    scale.plot(grown, OUT / "scale.png")
    return scale.markdown(grown)


if __name__ == "__main__":
    main(sys.argv[1:])
