"""`python -m benchmarks.review`: do the first images of `cli.py review` help more than others?

Run it in a project whose chain has finished, and whose train images have true masks. These masks
play the person who corrects: for each number of images and each random seed, one segmenter learns
from guide labels with the first images of the ranking corrected, another with as many at random.

    python -m benchmarks.review --project FOLDER --counts 20 50 100 --seeds 0 1 2

The classifier, its seeds, the saliency maps and the guide labels are the project's own, for every
random seed. A random seed changes how the segmenters train, so the ranking, and which images are
drawn at random. The ranking sees no mask. Masks of val only score. Cells that are done stay in
FOLDER/data/benchmarks/review and are not run again.
"""

import argparse
import itertools
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from app import cells, review
from benchmarks.data import inside
from benchmarks.headline import Score, resampled
from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint, lay_over, read_yaml, validate
from pipeline.core.samples import read_samples, read_truth
from pipeline.params import Params
from pipeline.scores.labels import counting, label_scores
from pipeline.scores.shared.scored import read_scored

OUT = Path("data/benchmarks/review")
CORRECTIONS = "data/corrections_of_the_cell"
ORDERS = ("ranked", "random")
LINES = {
    "labels that the segmenter learns from, train": "labels.train.mIoU",
    "segmenter, val": "segmenter.val.mIoU",
}


@dataclass(frozen=True)
class Cell:
    """A training: how many images are corrected, in which order they come, and its random seed."""

    count: int
    order: str
    seed: int

    def file(self, suffix: str) -> Path:
        """The record (json) or the pixel counts (npz) of the cell."""
        return OUT / f"{self.count}-{self.order}-{self.seed}.{suffix}"


def all_cells(counts: Sequence[int], seeds: Sequence[int]) -> Iterator[Cell]:
    """Yield the cells, those of no corrected image first: they make the rankings."""
    yield from (Cell(0, "none", seed) for seed in seeds)
    for parts in itertools.product(counts, seeds, ORDERS):
        yield Cell(parts[0], parts[2], parts[1])


def chosen(cell: Cell, ranking: Sequence[str]) -> list[str]:
    """Return the ids of the images that the cell corrects. 20 at random are among 50 at random.

    Raises:
        UserError: the cell asks for more images than have a mask.
    """
    if cell.count > len(ranking):
        raise UserError(f"--counts {cell.count}: only {len(ranking)} train images have a mask")
    if cell.order == "random":
        ordered = sorted(ranking)
        drawn = np.random.default_rng(cell.seed).permutation(len(ordered))
        ranking = [ordered[i] for i in drawn]
    return list(ranking[: cell.count])


def run(layout: Layout, cell: Cell) -> None:
    """Train and score one cell, unless it is done."""
    values = _params(layout, cell)
    params = validate(Params, values, where="the cell")
    key = _key(layout, values, saliency=layout.saliency(params.saliency.source))
    if cell.file("json").exists() and formats.read_json(cell.file("json"))["made_of"] == key:
        return
    start, folder = time.monotonic(), layout.cell(f"review-{cell.count}-{cell.order}", cell.seed)
    work = Layout(cells.copy_folder(folder, values))
    cells.prepare(work.root, layout.root, values, generated=())
    base = Cell(0, "none", cell.seed).file("json")
    ids = chosen(cell, formats.read_json(base)["ranking"]) if cell.count else []
    _share(layout, work)
    _correct(layout, work, ids)
    ranking = _train(layout, work, params)
    formats.write_arrays(cell.file("npz"), _score(layout, work, params.segment.supervision[0]))
    record = {"made_of": key, "ids": ids, "ranking": ranking}
    formats.write_json(cell.file("json"), record | {"seconds": round(time.monotonic() - start)})
    shutil.rmtree(folder)


def _params(layout: Layout, cell: Cell) -> dict[str, Any]:
    """Return the project's params with the cell's. Only a cell that ranks predicts on train."""
    supervision, splits = ("corrected", ["val"]) if cell.count else ("guide", ["train", "val"])
    segment = {"supervision": [supervision], "predict": {"splits": splits}}
    brought = {"corrections": CORRECTIONS}
    values = read_yaml(layout.params)
    lay_over(values, {"random_seed": cell.seed, "segment": segment, "brought": brought})
    return values


def _key(layout: Layout, values: dict[str, Any], *, saliency: Path) -> str:
    """Return a fingerprint of all that a cell follows from."""
    truth = (layout.samples, layout.truth, layout.labels("full"))
    data = formats.digest(*truth, layout.seeds, saliency, layout.labels("guide"))
    return fingerprint(cells.params_key(values), cells.code_key(layout.root), data)


def _share(layout: Layout, work: Layout) -> None:
    """Give a cell what the chain has made, with guide labels of train images only.

    Without labels of val, the training computes no loss on val, which nothing here needs.
    """
    shared = (layout.samples.parent, layout.seeds, layout.labels("full"), Path("data/saliency"))
    for path in shared:
        link = work.root / path
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(path.resolve())
    for sample in read_samples(layout.samples):
        if sample.split == "train":
            label = formats.read_label(layout.labels("guide") / f"{sample.id}.png")
            formats.write_label(work.labels("guide") / f"{sample.id}.png", label)


def _correct(layout: Layout, work: Layout, ids: Sequence[str]) -> None:
    """Write the true masks of `ids` as the corrections, and no other."""
    shutil.rmtree(work.root / CORRECTIONS, ignore_errors=True)  # a killed run of other ids
    truth = read_truth(layout.truth)
    for key in ids:
        formats.write_label(work.root / CORRECTIONS / f"{key}.png", formats.read_label(truth[key]))


def _train(layout: Layout, work: Layout, params: Params) -> list[str]:
    """Train the cell's segmenter and predict. Return the ranking, if the cell makes one."""
    (supervision,) = params.segment.supervision
    stages = {
        "guide": ("train_segment", "predict", "refine"),
        "corrected": ("relabel_brought", "train_segment", "predict"),
    }
    for name in stages[supervision]:
        stage(work.root, name, supervision)
    return _rank(layout, work, params) if supervision == "guide" else []


def stage(work: Path, *words: str) -> None:
    """Run a stage in the folder `work`, with its code."""
    command = [sys.executable, "-m", "stages", *words]
    if subprocess.run(command, cwd=work, check=False).returncode:
        raise UserError(f"the stage {words[0]} stopped in {work}; fix what the error above names")


def _rank(layout: Layout, work: Layout, params: Params) -> list[str]:
    """Rank the train images that have a mask, as `cli.py review` does."""
    truth = read_truth(layout.truth)
    ranked = review.rank(work, params, split="train")
    return [r.sample.id for r in ranked if r.sample.id in truth]


def _score(layout: Layout, work: Layout, supervision: str) -> dict[str, Any]:
    """Count the pixels of each image: the labels of train, and the segmenter's labels of val."""
    scored, classes = read_scored(layout.samples, layout.truth), formats.read_json(layout.classes)
    folders = {"labels": work.labels(supervision), "segmenter": work.predictions(supervision)}
    tallies = counting.count(folders, scored, classes=1 + len(classes), title="score the cell")
    counts = label_scores.image_counts(tallies)
    return {name: counts[name] for name in LINES.values()}


def table(counts: Sequence[int], seeds: Sequence[int]) -> str:
    """Return the table as Markdown: mean over the seeds, their spread, paired intervals."""
    head = ["corrected", *ORDERS, "ranked - random", "ranked - none", "random - none"]
    out = []
    for title, line in LINES.items():
        none = _read(line, 0, "none", seeds)
        out += ["", title, "", "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
        out.append(f"| 0 | {none.text()} | {none.text()} | | | |")
        for count in counts:
            ranked, random = (_read(line, count, order, seeds) for order in ORDERS)
            pairs = (ranked.minus(random), ranked.minus(none), random.minus(none))
            row = (str(count), ranked.text(), random.text(), *pairs)
            out.append("| " + " | ".join(row) + " |")
    return "\n".join(out[1:])


def _read(line: str, count: int, order: str, seeds: Sequence[int]) -> Score:
    files = [Cell(count, order, seed).file("npz") for seed in seeds]
    each = [resampled(formats.read_arrays(file, match=line)[line]) for file in files]
    return Score(np.array([whole for whole, _ in each]), np.mean([r for _, r in each], axis=0))


def main() -> None:
    """Run the cells that are missing, and print the table."""
    parser = argparse.ArgumentParser(description="Measure the order of cli.py review.")
    parser.add_argument("--project", type=Path, default=Path())
    parser.add_argument("--counts", type=int, nargs="+", default=[20, 50, 100])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    asked = parser.parse_args()
    with inside(asked.project):
        for cell in all_cells(asked.counts, asked.seeds):
            print(f"-- {cell}", file=sys.stderr, flush=True)
            run(Layout(), cell)
        print(table(asked.counts, asked.seeds))


if __name__ == "__main__":
    try:
        main()
    except UserError as e:
        sys.exit(f"error: {e}")
