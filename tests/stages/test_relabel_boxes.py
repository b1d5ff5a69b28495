"""The stages that make labels from boxes, on three images made by hand."""

import numpy as np
import pytest
import torch

from pipeline.core import formats
from pipeline.core.arrays import VOID
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.params import section
from pipeline.core.samples import Sample, write_samples
from pipeline.core.supervision import BOX_ROUNDS, BOXES
from pipeline.nets import checkpoint
from pipeline.segment.deeplab import DeepLab
from stages import relabel_boxes, relabel_boxes_round
from tests.conftest import photo

CLASSES = ["cat", "cow", "dog"]
BOXED = {"a": [("cat", [2, 8, 12, 16])], "b": [("cat", [2, 8, 12, 16]), ("dog", [6, 12, 4, 8])],
         "v": []}  # fmt: skip
SPEC = {"kind": "deeplab", "backbone": "efficientnet_lite0", "output_stride": 16, "head": "v1",
        "classes": CLASSES}  # fmt: skip


@pytest.fixture
def here(tmp_path):
    """Two train images and one of val, 32x32, and their boxes."""
    layout, samples = Layout(tmp_path), []
    for key, objects in BOXED.items():
        photo(tmp_path / f"{key}.png", size=(32, 32))
        split, tags = "val" if key == "v" else "train", tuple(name for name, _ in objects)
        samples.append(Sample(key, tmp_path / f"{key}.png", split, tags, 32, 32, ""))
    coco = {
        "images": [{"id": key, "file_name": f"{key}.png"} for key in BOXED],
        "categories": [{"id": name, "name": name} for name in CLASSES],
        "annotations": [
            {"image_id": key, "category_id": name, "bbox": box}
            for key, objects in BOXED.items()
            for name, box in objects
        ],
    }
    formats.write_json(tmp_path / "boxes.json", coco)
    formats.write_json(layout.classes, CLASSES)
    write_samples(layout.samples, samples)
    return layout


@pytest.fixture
def make(here, params, monkeypatch):
    """Run a stage for one supervision; the labels that it wrote."""
    params["boxes"]["path"] = str(here.root / "boxes.json")

    def labels_of(module, name):
        slices = module.SLICES[name]
        values = {key: section(params, dotted, model) for key, (dotted, model) in slices.items()}
        monkeypatch.setattr("sys.argv", ["stages", module.__name__.split(".")[1], name])
        module.run(here, name, **values)
        return {p.stem: formats.read_label(p) for p in here.labels(name).iterdir()}

    return labels_of


def count(label):
    values, counts = np.unique(label, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def test_box_fills_the_boxes_of_train_images(make):
    found = make(relabel_boxes, "box")
    assert set(found) == {"a", "b"}  # nothing learns from val
    assert (found["a"][8:24, 2:14] == 1).all() and count(found["a"]) == {0: 1024 - 192, 1: 192}
    assert (found["b"][12:20, 6:10] == 3).all() and count(found["b"])[3] == 32


def test_box_i_is_void_but_for_the_inner_fifth(make):
    found = make(relabel_boxes, "box_i")["a"]
    assert count(found) == {0: 1024 - 192, 1: 5 * 7, VOID: 192 - 5 * 7}
    assert (found[12:19, 5:10] == 1).all()


def test_grabcut_plus_writes_what_the_runs_of_an_image_agree_on(make, monkeypatch):
    """A GrabCut that always takes the left half of the image."""
    from pipeline.boxes import labels

    left = np.arange(32)[None].repeat(32, 0) < 8
    monkeypatch.setattr(labels, "grabcut", lambda *args, **options: left)
    monkeypatch.setenv("GUIDELABEL_WORKERS", "1")
    found = make(relabel_boxes, "grabcut_plus")["a"]
    assert (found[8:24, 2:8] == 1).all() and count(found) == {0: 1024 - 96, 1: 96}


def save_net(here, supervision, *bias):
    """Save a segmenter that gives every pixel the same scores."""
    net = DeepLab.from_spec(SPEC)
    torch.nn.init.zeros_(net.head.score.weight)
    net.head.score.bias.data = torch.tensor(bias)
    checkpoint.save(here.segmenter(supervision), net, SPEC, [])


@pytest.mark.parametrize("name, before", BOX_ROUNDS.items())
def test_a_round_keeps_the_last_output_inside_the_boxes(here, make, name, before):
    """A segmenter that sees a cat everywhere, and else a dog."""
    first = name.partition("_round")[0]
    for key in ("a", "b"):
        formats.write_label(here.labels(first) / f"{key}.png", np.full((32, 32), VOID, np.uint8))
    save_net(here, before, -9.0, 9.0, -9.0, 0.0)
    found = make(relabel_boxes_round, name)
    assert set(found) == {"a", "b"}
    for key in ("a", "b"):
        assert (found[key][8:12, 2:14] == 1).all()
        assert (np.delete(found[key].ravel(), box_indices()) == 0).all()
    assert count(found["a"]) == {0: 1024 - 192, 1: 192}
    assert (found["b"][12:20, 6:10] == VOID).all()  # the dog is too small, so its first label


def box_indices():
    """The pixels of the cat's box."""
    inside = np.zeros((32, 32), bool)
    inside[8:24, 2:14] = True
    return np.flatnonzero(inside)


def test_a_segmenter_that_sees_nothing_gets_the_first_labels_back(here, make):
    first = make(relabel_boxes, "box")
    save_net(here, "box", 9.0, 0.0, 0.0, 0.0)
    found = make(relabel_boxes_round, "box_round2")
    assert all((found[key] == first[key]).all() for key in ("a", "b"))


def test_a_missing_segmenter_is_an_error(make):
    make(relabel_boxes, "box")
    with pytest.raises(UserError, match="segment/box: not found"):
        make(relabel_boxes_round, "box_round2")


def test_every_supervision_by_boxes_has_its_stage():
    assert set(relabel_boxes.SLICES) == set(BOXES)
    assert set(relabel_boxes_round.SLICES) == set(BOX_ROUNDS)
