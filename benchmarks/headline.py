"""Sum up a run over its random seeds, and compare it with another one on the same images.

    python -m benchmarks.headline tuned=A,B,C paper=D,E,F

A to F are kept copies of data/scores, one for each random seed. The table shows the mean over the
seeds, their standard deviation, and the 95 % bootstrap interval over images of that mean. With two
runs, it also shows their difference with its paired interval. `benchmarks.headline_runs` makes the
copies.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.core.arrays import Float, Int
from pipeline.core.errors import UserError
from pipeline.scores.shared import metrics

TUNING = slice(0, None, 6)  # the train images whose masks chose thresholds: every sixth
# line -> file of counts, its key, and the line that it is a share of
LINES = {
    "seeds alone, train": ("guide", "seeds.train.mIoU"),
    "guide labels, train": ("guide", "guide.train.mIoU"),
    "guide labels, train, without the tuning sixth": ("guide", "guide.train.mIoU"),
    "guide labels, train, several tags": ("guide", "guide.train.several_tags_mIoU"),
    "segmenter, val": ("segment", "segmenter_guide.val.mIoU"),
    "segmenter + CRF, val": ("segment", "refined_guide.val.mIoU"),
    "segmenter + CRF, val, several tags": ("segment", "refined_guide.val.several_tags_mIoU"),
    "segmenter, full masks, val": ("segment", "segmenter_full.val.mIoU"),
    "segmenter + CRF, full masks, val": ("segment", "refined_full.val.mIoU"),
    "segmenter + CRF, full masks, val, several tags": (
        "segment",
        "refined_full.val.several_tags_mIoU",
    ),
}
SHARES = {
    "FS%, val": ("segmenter, val", "segmenter, full masks, val"),
    "FS% with CRF, val": ("segmenter + CRF, val", "segmenter + CRF, full masks, val"),
    "FS% with CRF, val, several tags": (
        "segmenter + CRF, val, several tags",
        "segmenter + CRF, full masks, val, several tags",
    ),
}


@dataclass(frozen=True)
class Score:
    """A score in percent: of each random seed (S,), and their mean in each resample (R,)."""

    seeds_S: Float
    mean_R: Float

    def text(self) -> str:
        """Mean, standard deviation over the random seeds, and interval over the images."""
        low, high = metrics.percentiles(self.mean_R)
        spread = f" ± {self.seeds_S.std(ddof=1):.1f}" if len(self.seeds_S) > 1 else ""
        return f"{self.seeds_S.mean():.1f}{spread} ({low:.1f} to {high:.1f})"

    def minus(self, other: "Score") -> str:
        """The difference to another score, with its paired interval."""
        low, high = metrics.percentiles(self.mean_R - other.mean_R)
        return f"{self.seeds_S.mean() - other.seeds_S.mean():+.1f} ({low:+.1f} to {high:+.1f})"


def scores(folders: Sequence[Path]) -> dict[str, Score]:
    """Compute all lines of a run from one folder for each random seed."""
    each = {name: [_resampled(f, name) for f in folders] for name in LINES}
    for name, (part, whole) in SHARES.items():
        pairs = zip(each[part], each[whole], strict=True)
        each[name] = [
            tuple(100 * metrics.full_supervision_share(a, b) for a, b in zip(p, w, strict=True))
            for p, w in pairs
        ]
    return {
        name: Score(np.array([s for s, _ in seeds], float), np.mean([r for _, r in seeds], axis=0))
        for name, seeds in each.items()
    }


def _resampled(folder: Path, name: str) -> tuple[Float, Float]:
    """Return the mIoU of a line in one folder, and in each resample."""
    return resampled(_counts(folder, name))


def resampled(counts_NCC: Int) -> tuple[Float, Float]:
    """Return the mIoU of all images, and of each resample; every call draws the same images."""
    times_RN = metrics.draw_images(len(counts_NCC), rng=np.random.default_rng(0))
    whole = np.array(100 * metrics.mean_iou(counts_NCC.sum(axis=0)))
    return whole, 100 * metrics.resampled_mean_iou(counts_NCC, times_RN)


def _counts(folder: Path, name: str) -> Int:
    file, key = LINES[name]
    path = folder / file / "counts.npz"
    if not path.exists():
        raise UserError(f"{path} is missing; give a copy of data/scores")
    counts_NCC: Int = np.load(path, allow_pickle=False)[key]
    if name.endswith("tuning sixth"):
        counts_NCC = np.delete(counts_NCC, TUNING, axis=0)
    return counts_NCC


def main(arguments: Sequence[str]) -> None:
    """Print the table of one or two runs as Markdown."""
    runs = dict(argument.split("=", 1) for argument in arguments)
    tables = {name: scores([Path(f) for f in paths.split(",")]) for name, paths in runs.items()}
    pair = list(tables.values())
    head = ["score", *tables, *(["difference"] if len(pair) == 2 else [])]
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    for name in [*LINES, *SHARES]:
        cells = [name, *(table[name].text() for table in pair)]
        if len(pair) == 2:
            cells.append(pair[0][name].minus(pair[1][name]))
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as e:
        sys.exit(f"error: {e}")
