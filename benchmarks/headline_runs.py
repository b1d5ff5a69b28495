"""Run what the headline figures need: three random seeds, as tuned and untuned.

    python -m benchmarks.headline_runs                                # preset voc_animals
    python -m benchmarks.headline_runs voc_animals data.root=FOLDER   # with another param

Untuned: with the paper's thresholds, and without what masks chose for the saliency network. The
script keeps a copy of data/scores after each run, as data/headline/RUN-SEED, and prints the tables
of `benchmarks.headline` at the end. If you stop it, the same command continues. It leaves the
params of the last run in params.yaml.

All runs of a random seed share the classifier, and the bound that learns from full masks: no param
of theirs differs, so DVC does not train them again.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import headline

RANDOM_SEEDS = (0, 1, 2)
KEPT, SCORES = Path("data/headline"), Path("data/scores")
PAPER = ("fuse.seed_threshold=0.2", "fuse.saliency_threshold=0.5")
PAPER_NET = (
    "saliency.options.net.infer.scales=[1.0]",
    "saliency.options.net.train.frozen_stages=2",  # as in all other networks
)
# What a run changes in the preset; RUN_paper is RUN untuned.
RUNS = {
    "net": ("saliency.source=net",),
    "net_paper": ("saliency.source=net", *PAPER, *PAPER_NET),
    "onnx": ("saliency.source=onnx",),
    "onnx_paper": ("saliency.source=onnx", *PAPER),
}


def main(preset: str = "voc_animals", *changes: str) -> None:
    """Make the runs that are not kept yet, and print a table for each source of saliency."""
    for random_seed in RANDOM_SEEDS:
        for name in RUNS:
            if not kept(name, random_seed).exists():
                _call("use", preset)
                _call("run", *_options(name, random_seed, changes))
                _keep(kept(name, random_seed))
    for source in ("net", "onnx"):
        print(f"\nSaliency {source}, random seeds {', '.join(map(str, RANDOM_SEEDS))}:\n")
        headline.main([_folders("as tuned", source), _folders("paper", f"{source}_paper")])


def kept(name: str, random_seed: int) -> Path:
    """Return the folder of the kept scores of a run."""
    return KEPT / f"{name}-{random_seed}"


def _options(name: str, random_seed: int, changes: Sequence[str]) -> list[str]:
    """Return the changes of a run in the preset, as options of `run`."""
    shared = (f"random_seed={random_seed}", "segment.supervision=[guide,full]", *changes)
    return [part for change in (*shared, *RUNS[name]) for part in ("-S", change)]


def _call(*arguments: str) -> None:
    """Call a command of cli.py."""
    command = [sys.executable, "cli.py", *arguments]
    print(f"-- {' '.join(command)}", file=sys.stderr, flush=True)
    if subprocess.run(command, check=False).returncode:
        sys.exit("error: this command failed; after you have mended it, type the same again")


def _keep(folder: Path) -> None:
    """Copy the scores, whole or not at all."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(SCORES, part)
    part.rename(folder)


def _folders(title: str, name: str) -> str:
    return f"{title}=" + ",".join(str(kept(name, s)) for s in RANDOM_SEEDS)


if __name__ == "__main__":
    main(*sys.argv[1:])
