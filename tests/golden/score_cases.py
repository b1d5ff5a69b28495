"""Every score file of a project with fixed predictions, and details of the scores.

Three train and three val images of 24x32 px hold two classes, with void between them. Every link
has simple errors: labels that are shifted, cut off, or of the other class. Nothing is trained.

Checked: `test_independent_scores` counts pixels in loops and compares with torchmetrics.
"""

import contextlib
import hashlib
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from pipeline.core import formats
from pipeline.core.arrays import CONTESTED, VOID
from pipeline.core.layout import SCORED, Layout
from pipeline.core.params import read_yaml
from pipeline.core.samples import Sample, write_samples
from pipeline.scores.seed import localise, seed_curve
from tests.golden.crf_cases import PRESET
from tests.golden.pictures import Float, UInt8
from tests.project import Project

CLASSES = ["cat", "dog"]
SHOWN = {"curve.tsv": [0, 1, 21, 51, 52, 99]}  # the recorded lines; of other tables, all lines
SALIENCY_THRESHOLD = 0.2  # a grey level of 51 meets it exactly
TAG_SCORES = [(0.9, 0.2), (0.1, 0.8), (0.5, 0.6), (0.3, 0.4), (0.35, 0.7), (0.45, 0.1)]


def truth(i: int) -> UInt8:
    """Draw the ground truth of image `i`: a cat and, in odd images, a dog; void between them."""
    label = np.zeros((24, 32), np.uint8)
    label[4:14, 3 + i : 15] = 1
    if i % 2:
        label[8:20, 17 : 29 - i] = 2
    label[:, 15 + i % 2] = VOID
    return label


def wrong(label: UInt8, *, shift: int, lose: int) -> UInt8:
    """Move the label right by `shift` px. Its last `lose` columns of class 2 become class 1."""
    out = np.roll(np.where(label == VOID, 0, label), shift, axis=1).astype(np.uint8)
    columns = np.flatnonzero((out == 2).any(axis=0))[-lose:] if lose else []
    out[:, columns] = np.where(out[:, columns] == 2, 1, out[:, columns])
    return out


def heat(label: UInt8, tags: list[int]) -> Float:
    """Make class maps (K, 6, 8): the share of each tag in 4x4 px, plus a slope to the right."""
    shares = [(label == t).reshape(6, 4, 8, 4).mean(axis=(1, 3)) for t in tags]
    slope = np.linspace(0, 0.3, 8)
    return np.array([share + 0.5 * slope for share in shares], np.float32).reshape(-1, 6, 8)


def write_project(root: Path) -> None:
    """Write all files that the scoring stages read."""
    layout, samples, masks = Layout(root), [], []
    values = read_yaml(PRESET)
    values["fuse"]["saliency_threshold"] = SALIENCY_THRESHOLD
    values["segment"]["supervision"] = ["guide", "full"]
    with layout.params.open("w") as file:
        YAML().dump(values, file)
    formats.write_json(layout.classes, CLASSES)
    for i in range(6):
        label, key = truth(i), f"i{i}"
        tags = [c for c in (1, 2) if (label == c).any()]
        names = tuple(CLASSES[t - 1] for t in tags)
        split, image = "train" if i < 3 else "val", Path(f"images/{key}.png")
        samples.append(Sample(key, image, split, names, *label.shape, ""))
        formats.write_label(layout.labels("full") / f"{key}.png", label)
        masks.append((key, f"data/labels/full/{key}.png"))
        formats.write_maps(layout.maps / f"{key}.npz", heat(label, tags), np.array(tags, np.uint8))
        grey = np.where(label == 0, np.arange(32) * 3, 255 - 51 * (np.arange(32) % 5)) / 255
        formats.write_grey(layout.saliency("net") / f"{key}.png", grey)
        guide = wrong(label, shift=1, lose=40 if i == 5 else i)
        if i == 2:
            guide[:2, :3] = 2  # not a tag of this image
        links = {
            layout.seeds: np.where(np.arange(32) % 3, wrong(label, shift=0, lose=2), 0),
            layout.fused: np.where(guide == 2, CONTESTED, guide),
            layout.labels("guide"): guide,
        }
        if split == "val":
            links[layout.predictions("guide")] = wrong(label, shift=3, lose=i)
            links[layout.refined("guide")] = wrong(label, shift=1, lose=2)
            links[layout.predictions("full")] = wrong(label, shift=1, lose=i)
            links[layout.refined("full")] = wrong(label, shift=0, lose=1)
        for folder, link_label in links.items():
            formats.write_label(folder / f"{key}.png", link_label.astype(np.uint8))
    write_samples(layout.samples, samples)
    formats.write_table(layout.truth, masks, columns=("id", "mask"))
    formats.write_table(layout.difficult, [("i5", "dog")], columns=("id", "tags"))
    tag_scores = [(f"i{i}", *scores) for i, scores in enumerate(TAG_SCORES)]
    formats.write_table(layout.tag_scores, tag_scores, columns=("id", *CLASSES))
    for folder in (layout.seed_model, layout.segmenter("guide"), layout.segmenter("full")):
        formats.write_json(folder / "net.json", {"trained_on": {"device": "none"}})


@contextlib.contextmanager
def scored() -> Any:
    """Use the project as the working folder, after its four scoring stages."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        write_project(Path())
        Project(Path()).stages(*(f"evaluate_{group}" for group in SCORED))
        yield Layout()


def compute_files() -> dict[str, Any]:
    """All scores, and for each table some lines and a digest of the file."""
    out: dict[str, Any] = {}
    with scored() as layout:
        for group in SCORED:
            out[f"{group}.json"] = flat(json.loads(layout.scores(group).read_text()))
            for path in sorted(layout.score_tables(group).iterdir()):
                if path.suffix == ".npz":
                    out[f"{group}/{path.name}"] = counts(formats.read_arrays(path))
                    continue
                lines = path.read_text().splitlines()
                if path.name == "confusion.csv":
                    lines = [f"{line} {n} times" for line, n in Counter(lines).items()]
                shown = SHOWN.get(path.name, range(len(lines)))
                out[f"{group}/{path.name}"] = {
                    "lines": [lines[n] for n in shown if n < len(lines)],
                    "count": len(lines),
                    "digest": hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest(),
                }
    return out


def counts(arrays: dict[str, Any]) -> dict[str, Any]:
    """Of each score the ids, and the sum of the images' pixel counts."""
    return {
        name: " ".join(array) if name.endswith(".ids") else array.sum(axis=0)
        for name, array in arrays.items()
    }


def flat(tree: Any, name: str = "") -> dict[str, Any]:
    """Flatten to dotted names. Numbers become text, so that they are compared exactly."""
    if isinstance(tree, dict):
        return {k: v for key, sub in tree.items() for k, v in flat(sub, f"{name}.{key}").items()}
    return {name.strip("."): str(tree)}


def seed_curve_counts() -> np.ndarray[Any, Any]:
    """Count the pixels of one image by map value, as the seed curve does.

    Ten background pixels have the values 0.05 (five), 0.3 (two), 0.5 (two) and 0.7 (one). Ten
    foreground pixels have 0.2 (one), 0.4 (three) and 0.9 (six). So the background's recall passes
    0.60, 0.70 and 0.80 at different precisions.
    """
    values = [0.05] * 5 + [0.3] * 2 + [0.5] * 2 + [0.7] + [0.2] + [0.4] * 3 + [0.9] * 6
    truths = [0] * 10 + [1] * 10
    value = np.array([values], np.float64) + 1e-9
    return seed_curve.count(
        value, np.ones((1, 20), np.uint8), np.array([truths], np.uint8), classes=2
    )


def compute_details() -> dict[str, Any]:
    """Details of the seed curve and of localisation, checked by hand.

    mP: coming from high thresholds, foreground recall first exceeds 0.20 at 0.9. It is 0.6 there,
    and the precision is 6/6. Background recall first exceeds 0.80 at 0.51. It is 0.9 there, and 9
    of the 13 pixels below are background. So mP is (1 + 9/13) / 2. If the limit were 0.60, it
    would be met at 0.31, with a precision of 7/8.
    Points and boxes: a point may be 18 px outside a box; a box must have an IoU of 0.5.
    """
    curve = seed_curve.score(seed_curve_counts())
    true_boxes = np.array([[40, 40, 50, 50]])
    points = {}
    for x, y in [(21, 45), (22, 45), (67, 45), (68, 45), (45, 21), (45, 22), (45, 67), (45, 68)]:
        peak = np.zeros((80, 80), np.float32)
        peak[y, x] = 1
        points[f"{x}, {y}"] = localise.point_right(peak, true_boxes)
    boxes = {}
    for height in (4, 5, 6):
        block = np.zeros((80, 80), np.float32)
        block[40 : 40 + height, 40:50] = 1
        block[0, 0] = 0.19
        boxes[str(height)] = localise.box_right(block, true_boxes)
    fifth = np.zeros((4, 6), np.float32)
    fifth[0, 0], fifth[1:3, 1:3], fifth[3, 4:] = 1, 0.2, 0.19
    return {
        "mP": curve.mp,
        "best": list(curve.best),
        "foreground recall at 0.9": float(curve.fg_recall_T[90]),
        "background recall at 0.5 and 0.51": curve.bg_recall_T[50:52],
        "point right": points,
        "box right, rows of ten": boxes,
        "box from a fifth of the maximum on": localise.box(fifth).tolist(),
    }
