"""`python -m benchmarks.many`: the per-image stages on N tiny images in shards.

    python -m benchmarks.many --count 50000 --shard 1000 --kills 2

Runs N/16, N/4 and N generated train images of 64 px, and a tenth as many val images. A classifier
of few images makes the class maps of all. DVC is left out. The engine is the one that
GUIDELABEL_ENGINE names. With `--kills`, that many stages of the largest run are killed when a third
of their files are there, and run again. Finished stages stay in data/benchmarks/many, and do not
run again unless the code changes.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from app import cells
from benchmarks.measure import machine
from benchmarks.scale import SMALL, exponent
from pipeline.core import formats, shards
from pipeline.core.layout import Layout
from pipeline.core.params import lay_over, read_yaml

OUT = Path("data/benchmarks/many")
STAGES = {  # stage -> the outputs whose files are counted
    "generate": ["data/raw/shapes"],
    "prepare": ["data/prepared", "data/labels/full"],
    "seed": ["data/maps", "data/tag_scores.csv"],
    "saliency classical": ["data/saliency/classical"],
    "fuse": ["data/fused"],
    "diffuse": ["data/labels/guide"],
    "evaluate_seed": ["data/scores/seed"],
    "evaluate_saliency": ["data/scores/saliency"],
    "evaluate_guide": ["data/scores/guide"],
}
KILLED = ("fuse", "seed")  # the stages that `--kills` kills
TEACHER = 240  # images that the classifier learns from


def lay_out(work: Path, *, count: int) -> None:
    """Make a project of `count` train images in `work`."""
    values = read_yaml(Path("presets/shapes.yaml"))
    lay_over(values, SMALL)
    lay_over(values, {"saliency": {"source": "classical"}})
    size = {"train": count, "val": max(2, count // 10), "boxed": 1, "size_px": 64}
    values["data"]["options"]["shapes"] = size
    layout = Layout()
    cells.prepare(work, Path.cwd(), values, generated=(layout.shapes, layout.shapes_boxed))


def stage(work: Path, name: str) -> subprocess.Popen[bytes]:
    """Start a stage, in a group of processes that can be killed together."""
    command = [sys.executable, "-m", "stages", *name.split()]
    env = {k: v for k, v in os.environ.items() if k != "DVC_STAGE"}
    return subprocess.Popen(command, cwd=work, env=env, start_new_session=True)


def run(work: Path, name: str) -> None:
    """Run a stage to its end."""
    with stage(work, name) as process:
        code = process.wait()
    if code:
        sys.exit(f"error: {work}: stage {name} ended with exit code {code}")


def kill(work: Path, name: str, *, files: int) -> dict[str, float]:
    """Run a stage until it has made so many files, and kill it. Return the files and seconds."""
    start, made = time.perf_counter(), 0
    with stage(work, name) as process:
        while made < files and process.poll() is None:
            time.sleep(0.2)
            made = count_files(work / ".resume")
        os.killpg(process.pid, signal.SIGKILL)
    return {"files_at_kill": made, "seconds_before_kill": round(time.perf_counter() - start, 1)}


def count_files(*paths: Path) -> int:
    """Count files in folders; a path may also be a file."""
    return sum(len(names) for path in paths for _, _, names in os.walk(path)) + sum(
        path.is_file() for path in paths
    )


def measure_stage(work: Path, name: str, *, kill_at: int) -> dict[str, Any]:
    """Run a stage, killed once if `kill_at` is above 0. Return seconds, memory and files."""
    shutil.rmtree(work / ".resume", ignore_errors=True)  # of a benchmark that was interrupted
    killed = kill(work, name, files=kill_at) if kill_at else {}
    run(work, name)
    log = formats.read_json(work / Layout().log / f"{name.replace(' ', '_')}.json")
    files = count_files(*(work / out for out in STAGES[name]))
    seconds = log["seconds"] + killed.get("seconds_before_kill", 0)
    return {"seconds": seconds, "peak_mib": log["peak_mib"], "files": files, **killed}


def teacher() -> Path:
    """Train the classifier on few images, once. Return the folder of its model."""
    work = OUT / "teacher"
    model = work / "data/models/seed"
    if not model.exists():
        lay_out(work, count=TEACHER)
        for name in ("generate", "prepare", "train_seed"):
            run(work, name)
    return model


def measure(count: int, *, kills: int) -> dict[str, Any]:
    """Measure all stages on N/16, N/4 and N images, as far as the record does not have them."""
    path = OUT / "many.json"
    conditions = {"code": cells.code_key(Path()), "shard": shards.images_per_tar()}
    record = formats.read_json(path) if path.exists() else {}
    if record.get("conditions") != conditions:
        shutil.rmtree(OUT, ignore_errors=True)
        record = {"conditions": conditions, "machine": machine(), "runs": {}}
    model = teacher()
    for number in (count // 16, count // 4, count):
        work, done = OUT / str(number), record["runs"].setdefault(str(number), {"stages": {}})
        if not done["stages"]:
            lay_out(work, count=number)
            shutil.copytree(model, work / "data/models/seed", dirs_exist_ok=True)
        for name in (name for name in STAGES if name not in done["stages"]):
            killed = number == count and name in KILLED[:kills]
            kill_at = number // 3 if killed else 0
            done["stages"][name] = measure_stage(work, name, kill_at=kill_at)
            formats.write_json(path, record)
            print(f"{number} {name}: {done['stages'][name]}", file=sys.stderr, flush=True)
    return record


def markdown(record: dict[str, Any]) -> str:
    """Format seconds and peak memory at each count, the exponent, and the files of the largest."""
    runs = {n: record["runs"][n] for n in sorted(record["runs"], key=int)}
    head = [*(f"{n} images, s" for n in runs), "exponent", *(f"MiB at {n}" for n in runs), "files"]
    lines = ["| stage | " + " | ".join(head) + " |", "|---|" + "---:|" * len(head)]
    for name in STAGES:
        each = [r["stages"][name] for r in runs.values()]
        pace = f"{exponent(runs, name, least=0):.2f}"
        killed = " (killed once)" if "files_at_kill" in each[-1] else ""
        seconds, peaks = [f"{s['seconds']:.1f}" for s in each], [str(s["peak_mib"]) for s in each]
        texts = [*seconds, pace, *peaks, str(each[-1]["files"])]
        lines.append(f"| {name}{killed} | " + " | ".join(texts) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print the table, and write data/benchmarks/many/many.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--shard", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=0, choices=range(len(KILLED) + 1))
    args = parser.parse_args()
    os.environ["GUIDELABEL_SHARD"] = str(args.shard)  # of the stages
    print(markdown(measure(args.count, kills=args.kills)), end="")


if __name__ == "__main__":
    main()
