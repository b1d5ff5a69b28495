"""The stage `relabel` on three images made by hand."""

import numpy as np
import pytest
import torch

from pipeline.core import formats
from pipeline.core.arrays import VOID
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.params import section
from pipeline.core.samples import Sample, write_samples
from pipeline.core.supervision import ROUNDS
from pipeline.nets import checkpoint
from pipeline.segment import deeplab
from pipeline.segment.deeplab import DeepLab
from stages import relabel, relabel_round, train_segment
from tests.conftest import photo

TAGS = {"a": ("cat",), "b": ("cat", "dog"), "v": ("dog",)}
CLASSES = ["cat", "cow", "dog"]


@pytest.fixture
def slices(params):
    """The params of each variant."""
    params["fuse"] |= {"min_seed_area_px": 4}
    return {
        name: {key: section(params, dotted, model) for key, (dotted, model) in variant.items()}
        for name, variant in (relabel.SLICES | relabel_round.SLICES).items()
    }


@pytest.fixture
def layout(tmp_path):
    """Two images of train and one of val, of 32x32 px. Their maps peak left and right."""
    layout, samples = Layout(tmp_path), []
    for key, tags in TAGS.items():
        photo(tmp_path / f"{key}.png", size=(32, 32))
        split = "val" if key == "v" else "train"
        samples.append(Sample(key, tmp_path / f"{key}.png", split, tags, 32, 32, ""))
        maps = np.zeros((len(tags), 8, 8), np.float32)
        maps[0, 3, 1] = maps[-1, 3, 6] = 1
        if len(tags) == 2:
            maps[0, 3, 6] = maps[1, 3, 1] = 0
        index = np.array([1 + CLASSES.index(t) for t in tags], np.uint8)
        formats.write_maps(layout.maps / f"{key}.npz", maps, index)
        left = np.zeros((32, 32), np.float32)
        left[8:24, 2:14] = 1
        for source in ("oracle", "net"):
            formats.write_grey(layout.saliency(source) / f"{key}.png", left)
    write_samples(layout.samples, samples)
    return layout


def relabelled(layout, name, slices, monkeypatch):
    """The labels that the variant `name` writes, by image id."""
    module = relabel_round if name in ROUNDS else relabel
    monkeypatch.setattr("sys.argv", ["stages", module.__name__.partition(".")[2], name])
    module.run(layout, name, **slices[name])
    folder = layout.labels(name)
    return {p.stem: formats.read_label(p) for p in folder.iterdir()}


def test_oracle_fills_the_object_and_keeps_a_seed_without_an_object(layout, slices, monkeypatch):
    by_id = relabelled(layout, "oracle", slices, monkeypatch)
    assert set(by_id) == {"a", "b"}  # val is not for training
    for key, right in (("a", 1), ("b", 3)):
        assert (by_id[key][8:24, 2:14] == 1).all()  # the object takes the class of its seed
        assert by_id[key][14, 26] == right and (by_id[key][:, 15:20] == 0).all()


@pytest.mark.parametrize("name", ["oracle", *ROUNDS])
def test_saliency_without_component_scores_cannot_use_g1(layout, slices, name):
    rule = {"rule": "g1", "evidence": "component_scores"}
    slices[name]["fuse"] = slices[name]["fuse"].model_copy(update=rule)
    with pytest.raises(UserError, match=f"supervision: {name} cannot use fuse.rule g1"):
        relabelled(layout, name, slices, pytest.MonkeyPatch())


def test_seed_has_cues_and_void(layout, slices, monkeypatch):
    by_id = relabelled(layout, "seed", slices, monkeypatch)
    assert set(by_id) == {"a", "b"}
    assert set(np.unique(by_id["a"])) == {0, 1, VOID} and set(np.unique(by_id["b"])) == {
        0,
        1,
        3,
        VOID,
    }
    assert (by_id["b"] == 0).mean() == pytest.approx(0.1, abs=0.01)
    assert by_id["b"][14, 6] == 1 and by_id["b"][14, 26] == 3


def write_segmenter(layout, name):
    """Write one that sees a cow everywhere, which is no tag, then a cat, a dog, background."""
    spec = {"kind": "deeplab", "backbone": "efficientnet_lite0", "output_stride": 16,
            "head": "v1", "classes": CLASSES}  # fmt: skip
    net = DeepLab.from_spec(spec)
    assert isinstance(net.head, deeplab.LargeFov)
    torch.nn.init.zeros_(net.head.score.weight)
    net.head.score.bias.data = torch.tensor([-9.0, 3, 9, 0])
    checkpoint.save(layout.segmenter(name), net, spec, [])
    for key in "ab":
        formats.write_label(layout.labels(name) / f"{key}.png", np.zeros((32, 32), np.uint8))


@pytest.mark.parametrize("name, before", ROUNDS.items())
def test_a_round_adds_the_last_segmenter_to_the_saliency(layout, slices, monkeypatch, name, before):
    """The segmenter is sure of foreground everywhere, so both seeds are in one component."""
    write_segmenter(layout, before)
    by_id = relabelled(layout, name, slices, monkeypatch)
    assert set(by_id) == {"a", "b"}
    assert (by_id["a"] == 1).all()
    assert set(np.unique(by_id["b"])) == {1, 3}  # the CRF divides it between the tags


def posterior(slices, changed="keep"):
    for name in ROUNDS:
        rounds = {"labels": "posterior", "crf": "none", "changed": changed}
        slices[name]["rounds"] = slices[name]["rounds"].model_copy(update=rounds)
    return slices


@pytest.mark.parametrize("name, before", ROUNDS.items())
def test_a_round_of_the_segmenters_own_output_keeps_to_the_tags(
    layout, slices, monkeypatch, name, before
):
    """It takes the most probable tag, here a cat, and not the more probable cow."""
    write_segmenter(layout, before)
    slices[name]["fuse"] = slices[name]["fuse"].model_copy(
        update={"rule": "g1", "evidence": "component_scores"}  # which this round does not need
    )
    by_id = relabelled(layout, name, posterior(slices), monkeypatch)
    assert set(by_id) == {"a", "b"}
    assert (by_id["a"] == 1).all() and (by_id["b"] == 1).all()


def test_pixels_that_differ_from_the_last_round_become_void(layout, slices, monkeypatch):
    write_segmenter(layout, "guide")
    last = np.ones((32, 32), np.uint8)
    last[:, :10], last[:, 20:] = 0, VOID
    for key in "ab":
        formats.write_label(layout.labels("guide") / f"{key}.png", last)
    label = relabelled(layout, "round2", posterior(slices, "ignore"), monkeypatch)["a"]
    assert (label[:, :10] == VOID).all() and (label[:, 10:] == 1).all()


def rounds_of(slices, name, **changes):
    slices[name]["rounds"] = slices[name]["rounds"].model_copy(update=changes)


def test_a_round_of_the_best_images_keeps_their_labels_and_leaves_the_others_out(
    layout, slices, monkeypatch, capsys
):
    """The segmenter sees a cat everywhere in both images. The guide label of b agrees, not a's.

    The next round chooses of the images of this one, although a has a guide label.
    """
    write_segmenter(layout, "guide")
    write_segmenter(layout, "round2")
    label = np.ones((32, 32), np.uint8)
    label[0] = VOID
    formats.write_label(layout.labels("guide") / "b.png", label)
    (layout.labels("round2") / "a.png").unlink()
    for name in ("round2", "round3"):
        rounds_of(slices, name, labels="same", images=0.5 if name == "round2" else 1.0)
        by_id = relabelled(layout, name, slices, monkeypatch)
        assert by_id.keys() == {"b"} and (by_id["b"] == label).all()
    said = capsys.readouterr().err
    assert "relabel round2: 1 of 2 images (cat 1 of 2, dog 1 of 1)" in said
    assert "relabel round3: 1 of 1 images" in said


def test_the_agreement_is_with_the_segmenter_that_knows_the_tags(layout, slices, monkeypatch):
    """It sees a cow everywhere, and after that a cat. The label of a is a cat, that of b a dog."""
    write_segmenter(layout, "guide")
    for key, index in (("a", 1), ("b", 3)):
        formats.write_label(layout.labels("guide") / f"{key}.png", np.full((32, 32), index, "u1"))
    seen = []
    monkeypatch.setattr(
        relabel_round.guide_rounds, "most_agreed", lambda found, share: seen.append(found) or found
    )
    rounds_of(slices, "round2", labels="same")
    relabelled(layout, "round2", slices, monkeypatch)
    assert seen == [{"a": 1.0, "b": 0.0}]


@pytest.mark.parametrize("name, epochs", [("guide", 8), ("round2", 16)])
def test_a_round_of_half_the_images_takes_as_many_steps(layout, params, monkeypatch, name, epochs):
    """Other labels that some images lack, such as guide labels, do not change the epochs."""
    params["segment"] |= {"weights": "none", "head": "v1"}
    params["segment"]["train"] |= {"epochs": 8, "frozen_stages": 0}
    slices = {
        key: section(params, dotted, model)
        for key, (dotted, model) in train_segment.SLICES[name].items()
    }
    formats.write_json(layout.classes, CLASSES)
    formats.write_label(layout.labels(name) / "a.png", np.zeros((32, 32), np.uint8))
    seen = []
    monkeypatch.setattr(
        train_segment.fit, "fit", lambda net, views, *_, **__: seen.append(views) or []
    )
    monkeypatch.setattr("sys.argv", ["stages", "train_segment", name])
    train_segment.run(layout, name, **slices)
    assert [(len(views), views.train.epochs) for views in seen] == [(1, epochs)]
