"""`python -m benchmarks.folds`: compare params of the segmenter by cross-validation on train.

Run it in a project whose chain has run to `diffuse`, and whose train images have true masks. A file
has the params of each row, as section `rows` of ablation/params.yaml does:

    python -m benchmarks.folds --rows benchmarks/folds.yaml --project FOLDER --folds 0 1 2

In fold k, a fifth of the train images is held out, a segmenter learns from the others with random
seed k, and masks of the held-out images score it. Each row is compared with the first one, on the
same images. No image of val takes part.

The classifier, its class maps, saliency and the guide labels are the project's own, in every fold.
So the classifier has seen the tags of held-out images, but no label and no mask of theirs is seen.
Finished cells stay in FOLDER/data/benchmarks/folds and are not run again.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from app import cells
from benchmarks.data import inside
from benchmarks.headline import Score, resampled
from benchmarks.review import stage
from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint, lay_over, read_yaml, validate
from pipeline.core.samples import Sample, read_samples, write_samples
from pipeline.core.supervision import ROUNDS
from pipeline.params import Params
from pipeline.scores.labels import counting, label_scores
from pipeline.scores.shared.scored import read_scored

OUT = Path("data/benchmarks/folds")
FOLDS = 5
LINES = {
    "labels": "labels.train.mIoU",
    "segmenter": "segmenter.val.mIoU",
    "segmenter + CRF": "refined.val.mIoU",
    "with CRF, several tags": "refined.val.several_tags_mIoU",
}


@dataclass(frozen=True)
class Cell:
    """A row's params in one fold."""

    row: str
    fold: int

    def file(self, suffix: str) -> Path:
        """The record (json) or the pixel counts (npz) of the cell."""
        return OUT / f"{self.row}-{self.fold}.{suffix}"


def split(samples: Sequence[Sample], fold: int) -> list[Sample]:
    """Return the train images of a fold. A fifth of them, drawn once for all, is its split val.

    Raises:
        UserError: there are too few train images for this fold.
    """
    train = sorted((s for s in samples if s.split == "train"), key=lambda s: s.id)
    drawn = np.random.default_rng(0).permutation(len(train)).tolist()
    if not (held := set(drawn[fold::FOLDS])):
        raise UserError(f"--folds {fold}: there are only {len(train)} train images; add some")
    return [replace(s, split="val") if i in held else s for i, s in enumerate(train)]


def run(layout: Layout, cell: Cell, changes: dict[str, Any]) -> None:
    """Train and score one cell, unless it is done."""
    values = read_yaml(layout.params)
    lay_over(values, changes)
    lay_over(values, {"random_seed": cell.fold, "segment": {"predict": {"splits": ["val"]}}})
    params = validate(Params, values, where=f"row {cell.row}")
    saliency = layout.saliency(params.saliency.source)
    read = (layout.samples, layout.truth, layout.maps, saliency, layout.labels("guide"))
    data = formats.digest(*read)
    key = fingerprint(cells.params_key(values), cells.code_key(layout.root), data)
    if cell.file("json").exists() and formats.read_json(cell.file("json"))["made_of"] == key:
        return
    folder, start = layout.cell(f"fold-{cell.row}", cell.fold), time.monotonic()
    work = Layout(cells.copy_folder(folder, values))
    cells.prepare(work.root, layout.root, values, generated=())
    _share(layout, work, cell.fold)
    trained = sum(_train(work, values, params, s, data=data) for s in params.segment.supervision)
    last = params.segment.supervision[-1]
    for name in ("predict", "refine"):
        stage(work.root, name, last)
    formats.write_arrays(cell.file("npz"), _score(work, last))
    seconds = {"seconds": round(time.monotonic() - start), "training": round(trained)}
    formats.write_json(cell.file("json"), {"made_of": key} | seconds)
    shutil.rmtree(folder)


def _share(layout: Layout, work: Layout, fold: int) -> None:
    """Give a cell what the chain has made. Held-out images get no guide label."""
    for path in (layout.maps, layout.seeds, layout.labels("full"), Path("data/saliency")):
        _link(work.root / path, path)
    for path in (layout.classes, layout.truth):
        formats.replace_file(work.root / path, lambda f, p=path: f.write(p.read_bytes()))
    samples = split(read_samples(layout.samples), fold)
    write_samples(work.samples, samples)
    for sample in samples:
        if sample.split == "train":
            label = formats.read_label(layout.labels("guide") / f"{sample.id}.png")
            formats.write_label(work.labels("guide") / f"{sample.id}.png", label)


def _link(link: Path, path: Path) -> None:
    """Make a link, in the place of one that a killed run of other params may have left."""
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(path.resolve())


def _train(
    work: Layout, values: dict[str, Any], params: Params, supervision: str, *, data: str
) -> float:
    """Make the labels of a later round, and train. Return what this takes, in seconds.

    Rows share labels and segmenters that follow from the same input.
    """
    shared, seconds = (str(params.random_seed), cells.code_key(Path())), 0.0
    if supervision in ROUNDS:
        used = {name: values[name] for name in ("saliency", "fuse", "diffuse", "rounds", "crf")}
        made_of = formats.digest(work.samples, work.segmenter(ROUNDS[supervision]))
        key = fingerprint(cells.params_key(used), params.segment.predict, made_of, data, *shared)
        seconds += _shared(work, work.labels(supervision), key, "relabel_round", supervision)
    plan = params.segment.model_dump_json(exclude={"supervision", "predict"})
    labels = formats.digest(work.samples, work.labels(supervision))
    key = fingerprint(plan, labels, *shared)
    return seconds + _shared(work, work.segmenter(supervision), key, "train_segment", supervision)


def _shared(work: Layout, out: Path, key: str, *words: str) -> float:
    """Link the folder `out` to what the stage made of the same input, or run the stage."""
    kept = OUT / "kept" / f"{out.name}-{key}"
    if not (kept / "out").exists():
        if out.is_symlink():  # of a killed run of other params
            out.unlink()
        start = time.monotonic()
        stage(work.root, *words)
        formats.write_json(kept / "seconds.json", time.monotonic() - start)
        out.rename(kept / "out")
    _link(out, kept / "out")
    return float(formats.read_json(kept / "seconds.json"))


def _score(work: Layout, supervision: str) -> dict[str, Any]:
    """Count the pixels of each image: the labels of train, the segmenter's labels of held out."""
    scored, classes = read_scored(work.samples, work.truth), formats.read_json(work.classes)
    folders = {
        "labels": work.labels(supervision),
        "segmenter": work.predictions(supervision),
        "refined": work.refined(supervision),
    }
    tallies = counting.count(folders, scored, classes=1 + len(classes), title="score the cell")
    counts = label_scores.image_counts(tallies)
    return {name: counts[name] for name in LINES.values() if name in counts}


def table(rows: Sequence[str], folds: Sequence[int]) -> str:
    """Return the table as Markdown: each row, and its difference to the first one.

    A score is of the pixels of all held-out images together. Its interval is over these images.
    """
    head = ["row", *LINES, "with CRF, minus the first row", "minutes of training"]
    out = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in rows:
        scores = {title: _read(row, line, folds) for title, line in LINES.items()}
        last = scores["segmenter + CRF"]
        first = _read(rows[0], LINES["segmenter + CRF"], folds)
        seconds = [formats.read_json(Cell(row, k).file("json"))["training"] for k in folds]
        texts = [row, *(s.text() if s else "" for s in scores.values())]
        texts += [last.minus(first) if row != rows[0] and last and first else ""]
        out.append("| " + " | ".join([*texts, f"{np.mean(seconds) / 60:.0f}"]) + " |")
    return "\n".join(out)


def _read(row: str, line: str, folds: Sequence[int]) -> Score | None:
    """Return the score over all held-out images. None if no image has this score."""
    arrays = [formats.read_arrays(Cell(row, fold).file("npz"), match=line) for fold in folds]
    counts = [each[line] for each in arrays if line in each]
    if not counts:
        return None
    whole, resamples = resampled(np.concatenate(counts))
    return Score(np.array([whole]), resamples)


def main() -> None:
    """Run the cells that are missing, fold by fold, and print the table."""
    parser = argparse.ArgumentParser(description="Compare params by cross-validation on train.")
    parser.add_argument("--project", type=Path, default=Path())
    parser.add_argument("--rows", type=Path, default=Path(__file__).with_suffix(".yaml"))
    parser.add_argument("--only", nargs="+", help="rows of the file; by default, all")
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 1, 2], choices=range(FOLDS))
    asked = parser.parse_args()
    rows = read_yaml(asked.rows)
    names = asked.only or list(rows)
    if unknown := set(names) - set(rows):
        raise UserError(f"{asked.rows}: no row '{min(unknown)}'; choose of {', '.join(rows)}")
    with inside(asked.project):
        for fold in asked.folds:
            for name in names:
                print(f"-- {name}, fold {fold}", file=sys.stderr, flush=True)
                run(Layout(), Cell(name, fold), rows[name] or {})
        print(table(names, asked.folds))


if __name__ == "__main__":
    try:
        main()
    except UserError as e:
        sys.exit(f"error: {e}")
