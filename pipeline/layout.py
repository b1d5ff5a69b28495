"""Every path of the project, once. Relative to the project's root folder."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """Where each artefact lies; `tests/contracts` holds it equal to dvc.yaml's deps and outs."""

    root: Path = Path()

    def __getattr__(self, name: str) -> Path:
        if name not in PATHS:
            raise AttributeError(name)
        return self.root / PATHS[name]

    def saliency(self, source: str) -> Path:
        """Saliency maps of one source, ID.png."""
        return self.root / "data/saliency" / source

    def labels(self, supervision: str) -> Path:
        """Label images a segmenter can learn from: a value of segment.supervision, ID.png."""
        return self.root / "data/labels" / supervision

    def segmenter(self, supervision: str) -> Path:
        """The trained segmenter."""
        return self.root / "data/models/segment" / supervision

    def logits(self, supervision: str) -> Path:
        """Logits of the segmenter at network stride, ID.npz."""
        return self.root / "data/logits" / supervision

    def predictions(self, supervision: str) -> Path:
        """Label images of the plain segmenter, ID.png."""
        return self.root / "data/predictions" / supervision

    def refined(self, supervision: str) -> Path:
        """Label images after the dense CRF, ID.png."""
        return self.root / "data/refined" / supervision

    def cell(self, row: str, seed: int) -> Path:
        """Where a cell of a table runs; goes when it is done."""
        return self.root / ".cells" / f"{row}-{seed}"

    def cell_scores(self, row: str, seed: int) -> Path:
        """Scores and identity of a cell."""
        return self.root / "data/ablation" / f"{row}-{seed}.json"

    def table(self, name: str, suffix: str) -> Path:
        """A table of a paper."""
        return self.root / "data/tables" / f"{name}.{suffix}"

    def scores(self, group: str) -> Path:
        """The scores of one of SCORED."""
        return self.root / f"data/scores/{group}.json"

    def score_tables(self, group: str) -> Path:
        """The tables behind them."""
        return self.root / "data/scores" / group


SCORED = ("seed", "saliency", "guide", "segment")  # groups of links, each scored by its own stage

PATHS = {
    "params": "params.yaml",
    "params_before": "data/params_before.yaml",  # what `cli.py use` replaced
    "ablation": "ablation/params.yaml",  # rows of the tables
    "tables": "ablation/tables.yaml",
    "shapes": "data/raw/shapes",  # images/, masks/, tags.csv
    "shapes_boxed": "data/raw/shapes_boxed",  # images/, boxes.json
    "samples": "data/prepared/samples.csv",  # what training may see
    "classes": "data/prepared/classes.json",
    "truth": "data/prepared/truth.csv",  # what only scoring may see
    "difficult": "data/prepared/difficult.csv",  # tags that do not count when scored
    "counts": "data/prepared/counts.json",
    "seed_model": "data/models/seed",
    "maps": "data/maps",  # class maps of the image's tags, ID.npz
    "tag_scores": "data/tag_scores.csv",  # the classifier's probability of every class
    "saliency_model": "data/models/saliency",
    "saliency_labels": "data/labels/saliency",  # masks made from boxes
    "seeds": "data/fused/seeds",  # seed labels after the area limit, ID.png
    "fused": "data/fused/labels",  # settled labels, contested components marked, ID.png
    "report": "data/report",
    "resume": ".resume",  # what an interrupted training needs to go on
    "log": "data/log",  # time and memory of each stage's last run
}
