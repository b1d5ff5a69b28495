"""The whole chain on more and more images: time, memory, and what DVC itself costs."""

import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from app import cells
from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.core.params import lay_over, read_yaml

COUNTS = (250, 500, 1000, 2000, 4000, 5000)
MEMORY = (500, 5000)
OWN_CACHE = """[core]  # a shared one would hand results back instead of making them
    analytics = false
    check_update = false
    no_scm = true
[cache]
    type = "hardlink,copy"
"""
SMALL: dict[str, Any] = {
    "seed": {"train": {"epochs": 1, "size_px": 64}, "maps": {"size_px": 64, "scales": [1.0]}},
    "saliency": {
        "options": {
            "net": {
                "train": {"epochs": 1, "size_px": 64},
                "infer": {"size_px": 64},
                "denoise": {"rounds": 0},
            }
        }
    },
    "segment": {"train": {"epochs": 1, "size_px": 64}, "predict": {"size_px": 64}},
}


def run_chain(count: int) -> dict[str, Any]:
    """Run the chain once on `count` train images; seconds and peak MiB of each stage."""
    home, layout = Path.cwd(), Layout()
    values = read_yaml(Path("presets/shapes.yaml"))
    lay_over(values, SMALL)
    size = {"train": count, "val": count // 5, "boxed": count // 4, "size_px": 64}
    values["data"]["options"]["shapes"] = size
    with TemporaryDirectory(prefix="benchmark") as name:
        work = Path(name)
        cells.prepare(work, home, values, made=(layout.shapes, layout.shapes_boxed))
        (work / ".dvc/config").write_text(OWN_CACHE)
        start = time.perf_counter()
        with (work / "said.txt").open("w") as said:
            command = [sys.executable, "-m", "dvc", "repro"]
            subprocess.run(command, cwd=work, stdout=said, stderr=said, check=True)
        wall = time.perf_counter() - start
        logs = {p.stem: formats.read_json(p) for p in sorted((work / layout.log).glob("*.json"))}
        files = sum(p.is_file() for p in (work / "data").rglob("*"))
    return {"wall": wall, "files": files, "stages": logs}


def imports(stages: list[str]) -> float:
    """Seconds that Python takes to start these stages and import what they need."""
    start = time.perf_counter()
    for stage in stages:
        module = stage if Path(f"stages/{stage}.py").exists() else stage.rpartition("_")[0]
        subprocess.run([sys.executable, "-c", f"import stages.{module}"], check=True)
    return time.perf_counter() - start


def measure(record: Path, counts: tuple[int, ...] = COUNTS) -> dict[str, Any]:
    """The chain at each count; `record` grows with every one."""
    found: dict[str, Any] = {}
    for count in counts:
        run = found[str(count)] = run_chain(count)
        stages = sum(stage["seconds"] for stage in run["stages"].values())
        run["startup"] = imports(list(run["stages"]))
        run["dvc"] = run["wall"] - stages - run["startup"]
        print(f"{count} images: {run['wall']:.0f} s", file=sys.stderr, flush=True)
        record.write_text(json.dumps(found, indent=2) + "\n")
    return found


def exponent(found: dict[str, Any], stage: str, least: int = 1000) -> float:
    """Slope of log seconds over log images, from `least` images on: 1 is linear."""
    points = [(int(n), run["stages"][stage]["seconds"]) for n, run in found.items()]
    logs = np.log([(n, max(s, 0.05)) for n, s in points if n >= least])
    return float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])


def markdown(found: dict[str, Any]) -> str:
    """Seconds by images, the exponent, and peak memory at two counts."""
    small, large = (str(n) for n in MEMORY)
    head = [*(f"{n} images, s" for n in found), "exponent", f"MiB at {small}", f"at {large}"]
    lines = ["| stage | " + " | ".join(head) + " |", "|---|" + "---:|" * len(head)]
    for stage in found[large]["stages"]:
        seconds = [f"{run['stages'][stage]['seconds']:.1f}" for run in found.values()]
        peaks = [str(found[n]["stages"][stage]["peak_mib"]) for n in (small, large)]
        cells_of = [stage, *seconds, f"{exponent(found, stage):.2f}", *peaks]
        lines.append("| " + " | ".join(cells_of) + " |")
    own = [f"{run['dvc']:.1f}" for run in found.values()]
    files = [str(run["files"]) for run in found.values()]
    lines.append("| DVC itself | " + " | ".join([*own, "", "", ""]) + " |")
    lines.append("| files in data/ | " + " | ".join([*files, "", "", ""]) + " |")
    return "\n".join(lines) + "\n"


def plot(found: dict[str, Any], path: Path) -> None:
    """Seconds over images, both axes logarithmic, a line a stage."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    counts = [int(n) for n in found]
    for i, stage in enumerate(found[str(counts[-1])]["stages"]):
        seconds = [run["stages"][stage]["seconds"] for run in found.values()]
        if seconds[-1] >= 1:
            axes.loglog(counts, seconds, "o-" if i < 10 else "^--", label=stage)  # ten colours
    axes.loglog(counts, [n / 50 for n in counts], "k:", linewidth=3, label="linear")
    axes.set_xticks(counts, [str(n) for n in counts], minor=False)
    axes.set_xticks([], minor=True)
    axes.set_xlabel("train images")
    axes.set_ylabel("seconds")
    figure.legend(loc="outside right center", fontsize=8)
    figure.savefig(path, metadata={"Software": None})
