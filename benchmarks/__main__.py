"""`python -m benchmarks [NAME ...]`: measure, print, and write docs/benchmarks.json and .md."""

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
}


DOCS = Path("docs")
HEAD = """# Benchmarks

`make bench` measures this. Medians; both sides in turn in one run; losses stand beside wins.

"""
SCALE = """
## More and more images

The whole chain on generated images of 64 px, one epoch each; seconds of every stage, the exponent
from 1,000 images on (1 is linear), and the peak memory of a stage's largest process.

"""


def main(names: list[str]) -> None:
    """Measure the benchmarks `names`; all of them, and how they scale, without."""
    rows = []
    for name in names or BENCHMARKS:
        print(f"-- {name}", file=sys.stderr, flush=True)
        rows += BENCHMARKS[name]()
        print(markdown(record(rows)), flush=True)
    if names:
        return
    found = record(rows) | {"scale": scale.measure()}
    (DOCS / "benchmarks.json").write_text(json.dumps(found, indent=2) + "\n")
    scale.plot(found["scale"], DOCS / "scale.png")
    parts = (HEAD, markdown(found), SCALE, scale.markdown(found["scale"]), "\n![seconds over images](scale.png)\n")
    (DOCS / "benchmarks.md").write_text("".join(parts))


if __name__ == "__main__":
    main(sys.argv[1:])
