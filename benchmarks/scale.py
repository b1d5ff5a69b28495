"""The whole chain on more and more images: time, memory, and the time that DVC itself takes."""

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
OWN_CACHE = """[core]  # with a shared cache, stages would not run
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
    """Run the chain once on `count` train images. Return seconds and peak MiB of each stage."""
    home, layout = Path.cwd(), Layout()
    values = read_yaml(Path("presets/shapes.yaml"))
    lay_over(values, SMALL)
    size = {"train": count, "val": count // 5, "boxed": count // 4, "size_px": 64}
    values["data"]["options"]["shapes"] = size
    with TemporaryDirectory(prefix="benchmark") as name:
        work = Path(name)
        cells.prepare(work, home, values, generated=(layout.shapes, layout.shapes_boxed))
        (work / ".dvc/config").write_text(OWN_CACHE)
        start = time.perf_counter()
        with (work / "dvc.txt").open("w") as output:
            command = [sys.executable, "-m", "dvc", "repro"]
            subprocess.run(command, cwd=work, stdout=output, stderr=output, check=True)
        wall = time.perf_counter() - start
        logs = {p.stem: formats.read_json(p) for p in sorted((work / layout.log).glob("*.json"))}
        files = sum(p.is_file() for p in (work / "data").rglob("*"))
    return {"wall": wall, "files": files, "stages": logs}


def startup(stages: list[str]) -> float:
    """Measure the seconds that Python takes to start and to import these stages."""
    start = time.perf_counter()
    for stage in stages:
        module = stage if Path(f"stages/{stage}.py").exists() else stage.rpartition("_")[0]
        subprocess.run([sys.executable, "-c", f"import stages.{module}"], check=True)
    return time.perf_counter() - start


def measure(record: Path, counts: tuple[int, ...] = COUNTS) -> dict[str, Any]:
    """Run the chain at each count, and write the results to `record` after each run."""
    runs: dict[str, Any] = {}
    for count in counts:
        run = runs[str(count)] = run_chain(count)
        stages = sum(stage["seconds"] for stage in run["stages"].values())
        run["startup"] = startup(list(run["stages"]))
        run["dvc"] = run["wall"] - stages - run["startup"]
        print(f"{count} images: {run['wall']:.0f} s", file=sys.stderr, flush=True)
        record.write_text(json.dumps(runs, indent=2) + "\n")
    return runs


def exponent(runs: dict[str, Any], stage: str, least: int = 1000) -> float:
    """Fit the slope of log seconds over log images, from `least` images on; 1 means linear."""
    points = [(int(n), run["stages"][stage]["seconds"]) for n, run in runs.items()]
    logs = np.log([(n, max(s, 0.05)) for n, s in points if n >= least])
    return float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])


def markdown(runs: dict[str, Any]) -> str:
    """Format a table of the seconds at each count, the exponent, and peak memory at two counts."""
    small, large = (str(n) for n in MEMORY)
    head = [*(f"{n} images, s" for n in runs), "exponent", f"MiB at {small}", f"at {large}"]
    lines = ["| stage | " + " | ".join(head) + " |", "|---|" + "---:|" * len(head)]
    for stage in runs[large]["stages"]:
        seconds = [f"{run['stages'][stage]['seconds']:.1f}" for run in runs.values()]
        peaks = [str(runs[n]["stages"][stage]["peak_mib"]) for n in (small, large)]
        texts = [stage, *seconds, f"{exponent(runs, stage):.2f}", *peaks]
        lines.append("| " + " | ".join(texts) + " |")
    dvc_seconds = [f"{run['dvc']:.1f}" for run in runs.values()]
    files = [str(run["files"]) for run in runs.values()]
    lines.append("| DVC itself | " + " | ".join([*dvc_seconds, "", "", ""]) + " |")
    lines.append("| files in data/ | " + " | ".join([*files, "", "", ""]) + " |")
    return "\n".join(lines) + "\n"


def plot(runs: dict[str, Any], path: Path) -> None:
    """Plot seconds over images on logarithmic axes, with a line for each stage."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    counts = [int(n) for n in runs]
    for i, stage in enumerate(runs[str(counts[-1])]["stages"]):
        seconds = [run["stages"][stage]["seconds"] for run in runs.values()]
        if seconds[-1] >= 1:
            marks = "o-" if i < 10 else "^--"  # the ten colours repeat after ten lines
            axes.loglog(counts, seconds, marks, label=stage)
    axes.loglog(counts, [n / 50 for n in counts], "k:", linewidth=3, label="linear")
    axes.set_xticks(counts, [str(n) for n in counts], minor=False)
    axes.set_xticks([], minor=True)
    axes.set_xlabel("train images")
    axes.set_ylabel("seconds")
    figure.legend(loc="outside right center", fontsize=8)
    figure.savefig(path, metadata={"Software": None})
