"""Labels from predicted tags and their scores, with a classifier that was not trained."""

import numpy as np
import pytest
import torch

from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.core.params import section
from pipeline.core.samples import Sample, write_samples
from pipeline.nets import checkpoint
from pipeline.seeds.classifier import Classifier, classifier_spec
from pipeline.seeds.config import SeedModel
from stages import evaluate_maps, predict_maps
from tests.conftest import photo

CLASSES = ["cat", "cow", "dog"]
SPLITS = {"t": "train", "v": "val", "w": "val"}
TAG_SCORES = {"t": (1, 0, 0), "v": (0.1, 0.2, 0.9), "w": (0.3, 0.2, 0.1)}


@pytest.fixture
def slices(params):
    params["seed"]["maps"] |= {"size_px": 64, "scales": [1.0], "kind": "gradient"}
    params["refine"]["crf"] = "none"
    slices = predict_maps.SLICES.items()
    return {key: section(params, dotted, model) for key, (dotted, model) in slices}


@pytest.fixture
def here(tmp_path, params, monkeypatch):
    """Three images whose tag is cow. The classifier says dog for v, and nothing clear for w."""
    monkeypatch.setenv("GUIDELABEL_WORKERS", "1")
    monkeypatch.setattr("sys.argv", ["stages", "predict_maps"])
    layout = Layout(tmp_path)
    write(layout, SPLITS)
    spec = classifier_spec(section(params, "seed", SeedModel), CLASSES)
    torch.manual_seed(0)
    net = Classifier.from_spec(spec)
    sign = torch.tensor([-1, -1, 1])[:, None, None, None]
    net.score.weight.data.abs_().mul_(sign)  # only dog has a map above 0
    checkpoint.save(layout.seed_model, net, spec, [(1.0, None)])
    rows = [(key, *values) for key, values in TAG_SCORES.items()]
    formats.write_table(layout.tag_scores, rows, columns=("id", *CLASSES))
    return layout


def write(layout, splits):
    images = {key: layout.root / f"{key}.png" for key in splits}
    for i, path in enumerate(images.values()):
        photo(path, size=(64, 48), seed=i)
    samples = [Sample(k, images[k], split, ("cow",), 48, 64, "") for k, split in splits.items()]
    write_samples(layout.samples, samples)


def labels(layout):
    return {p.stem: formats.read_label(p) for p in layout.map_labels.iterdir()}


def test_val_images_show_their_predicted_classes_and_not_their_tags(here, slices):
    predict_maps.run(here, **slices)
    found = labels(here)
    assert set(found) == {"v", "w"}
    assert {3} <= set(np.unique(found["v"])) <= {0, 3}
    assert set(np.unique(found["w"])) == {0}  # cat is its most probable class, with an empty map
    assert found["v"].shape == (48, 64)


def test_without_val_all_images_are_labelled(here, slices):
    write(here, dict.fromkeys(SPLITS, "train"))
    predict_maps.run(here, **slices)
    assert set(labels(here)) == set(SPLITS)


def test_the_threshold_decides_how_much_is_background(here, slices):
    predict_maps.run(here, **slices)
    before = labels(here)["v"]
    predict_maps.run(here, **slices | {"threshold": 0.999})
    assert np.count_nonzero(labels(here)["v"]) < np.count_nonzero(before)


def test_scores_by_hand(here):
    """v is right; w shows cat in all of its right half, where the truth is cow."""
    formats.write_json(here.classes, CLASSES)
    truth = np.zeros((48, 64), np.uint8)
    truth[:, 32:] = 2
    for key in SPLITS:
        formats.write_label(here.root / f"masks/{key}.png", truth)
    rows = [(key, here.root / f"masks/{key}.png") for key in SPLITS]
    formats.write_table(here.truth, rows, columns=("id", "mask"))
    for key, label in (("v", truth), ("w", truth // 2)):
        formats.write_label(here.map_labels / f"{key}.png", label)
    evaluate_maps.run(here)
    found = formats.read_json(here.scores("maps"))
    assert found["about"] == {"images_scored": 2}
    assert found["map_labels"].keys() == {"val"}
    assert found["map_labels"]["val"]["mIoU"] == 50.0  # background 1, cat 0, cow 0.5
    lines = (here.score_tables("maps") / "iou.tsv").read_text().splitlines()
    assert "map_labels\tval\tcow\t50.00" in lines
