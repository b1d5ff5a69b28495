"""Every path of the project. A contract test compares these paths with dvc.yaml."""

from dataclasses import dataclass
from pathlib import Path

SCORED = ("seed", "saliency", "guide", "segment")  # the groups of scores, one for each stage
SCORED_BY_NAME = ("maps",)  # groups whose stage runs only if it is named: optional/dvc.yaml
LOCKS = ("dvc.lock", "optional/dvc.lock", "ablation/dvc.lock")


@dataclass(frozen=True)
class Layout:
    """Where each file and folder is, below the project's root folder."""

    root: Path = Path()

    # --- what people write

    @property
    def params(self) -> Path:
        """The params of the chain."""
        return self.root / "params.yaml"

    @property
    def params_before(self) -> Path:
        """The params.yaml that the last `cli.py use` replaced."""
        return self.root / "data/params_before.yaml"

    @property
    def findings(self) -> Path:
        """What `cli.py doctor` saw in each image file."""
        return self.root / "data/findings.json"

    @property
    def ablation(self) -> Path:
        """The rows of the papers' tables."""
        return self.root / "ablation/params.yaml"

    @property
    def tables(self) -> Path:
        """The columns of the papers' tables."""
        return self.root / "ablation/tables.yaml"

    # --- data

    @property
    def shapes(self) -> Path:
        """The generated data set: images/, masks/, tags.csv."""
        return self.root / "data/raw/shapes"

    @property
    def shapes_boxed(self) -> Path:
        """Generated images of other classes: images/, boxes.json."""
        return self.root / "data/raw/shapes_boxed"

    @property
    def samples(self) -> Path:
        """The images with their tags and splits: what training may see."""
        return self.root / "data/prepared/samples.csv"

    @property
    def classes(self) -> Path:
        """The class list."""
        return self.root / "data/prepared/classes.json"

    @property
    def truth(self) -> Path:
        """The masks: what only scoring may see."""
        return self.root / "data/prepared/truth.csv"

    @property
    def difficult(self) -> Path:
        """The tags that scores skip: in that image, VOC calls every object of the tag difficult."""
        return self.root / "data/prepared/difficult.csv"

    @property
    def counts(self) -> Path:
        """How many images each split and class has."""
        return self.root / "data/prepared/counts.json"

    # --- trunks

    def pretext(self, task: str) -> Path:
        """The trunk that a pretext task trained without labels. For `none`, git has the folder."""
        return self.root / "data/pretext" / task

    # --- seeds

    @property
    def seed_model(self) -> Path:
        """The trained classifier."""
        return self.root / "data/models/seed"

    @property
    def maps(self) -> Path:
        """Class maps of each image's tags, ID.npz."""
        return self.root / "data/maps"

    @property
    def tag_scores(self) -> Path:
        """The classifier's probability of every class for each image."""
        return self.root / "data/tag_scores.csv"

    @property
    def map_labels(self) -> Path:
        """Label images from class maps of predicted tags and a dense CRF, ID.png."""
        return self.root / "data/map_labels"

    # --- saliency

    @property
    def saliency_model(self) -> Path:
        """The trained saliency network."""
        return self.root / "data/models/saliency"

    @property
    def saliency_labels(self) -> Path:
        """The masks that the saliency network learns from, made from boxes, NAME.png."""
        return self.root / "data/labels/saliency"

    def saliency(self, source: str) -> Path:
        """Saliency maps of one source, ID.png."""
        return self.root / "data/saliency" / source

    # --- guide labels

    @property
    def component_scores(self) -> Path:
        """What guide rule G1 reads: changes of the classifier's scores by component, ID.npz."""
        return self.root / "data/component_scores"

    @property
    def seeds(self) -> Path:
        """Seed labels above the area limit, ID.png."""
        return self.root / "data/fused/seeds"

    @property
    def fused(self) -> Path:
        """Labels after the guide rule, with contested components marked, ID.png."""
        return self.root / "data/fused/labels"

    def labels(self, supervision: str) -> Path:
        """Labels for one value of segment.supervision, for a segmenter to learn from, ID.png."""
        return self.root / "data/labels" / supervision

    # --- segmenter

    def segmenter(self, supervision: str) -> Path:
        """The trained segmenter."""
        return self.root / "data/models/segment" / supervision

    def logits(self, supervision: str) -> Path:
        """Logits of the segmenter at network stride, ID.npz."""
        return self.root / "data/logits" / supervision

    def predictions(self, supervision: str) -> Path:
        """Label images of the segmenter before the dense CRF, ID.png."""
        return self.root / "data/predictions" / supervision

    def refined(self, supervision: str) -> Path:
        """Label images after the dense CRF, ID.png."""
        return self.root / "data/refined" / supervision

    # --- scores, report, tables

    def scores(self, group: str) -> Path:
        """The scores of one group of SCORED or SCORED_BY_NAME."""
        return self.root / f"data/scores/{group}.json"

    def score_tables(self, group: str) -> Path:
        """The folder of detailed tables of one group: by class, by image, curves."""
        return self.root / "data/scores" / group

    def label_scores(self, supervision: str) -> Path:
        """The scores of one supervision's labels: scores.json and its tables."""
        return self.root / "data/scores/labels" / supervision

    @property
    def made_of(self) -> Path:
        """What made each score file, one file a score file: data, params, code, machine."""
        return self.root / "data/scores/made_of"

    @property
    def report(self) -> Path:
        """The HTML report and its pictures."""
        return self.root / "data/report"

    def shown(self, key: str) -> Path:
        """What `cli.py show` drew of an image."""
        return self.root / f"data/show/{key}.png"

    @property
    def headline(self) -> Path:
        """The few scores that `dvc metrics` shows."""
        return self.root / "data/metrics.json"

    def cell(self, row: str, random_seed: int) -> Path:
        """Where one cell of a table runs. The folder is removed when the cell is done."""
        return self.root / ".cells" / f"{row}-{random_seed}"

    def cell_scores(self, row: str, random_seed: int) -> Path:
        """The scores of a cell, with hashes of its params, code and data."""
        return self.root / "data/ablation" / f"{row}-{random_seed}.json"

    def cell_counts(self, row: str, random_seed: int) -> Path:
        """The pixel counts of each image of a cell that scored label images."""
        return self.root / "data/ablation" / f"{row}-{random_seed}.npz"

    def table(self, name: str, suffix: str) -> Path:
        """A finished table. `suffix` is its format, such as md."""
        return self.root / "data/tables" / f"{name}.{suffix}"

    # --- a run

    @property
    def resume(self) -> Path:
        """The unfinished work of an interrupted stage, from which it continues."""
        return self.root / ".resume"

    @property
    def locks(self) -> tuple[Path, ...]:
        """DVC's lock files: which inputs each result was made from."""
        return tuple(self.root / name for name in LOCKS)

    def kept_lock(self, lock: Path) -> Path:
        """The last valid copy of a lock file."""
        return self.resume / "locks" / lock.relative_to(self.root)

    def call(self, run: str) -> Path:
        """Which work the last call of a stage did or continued, and what the calls before took."""
        return self.resume / "calls" / f"{run}.json"

    @property
    def log(self) -> Path:
        """Time, memory and device of each stage's last run, a file for each stage."""
        return self.root / "data/log"
