"""The stage `relabel` on three images made by hand."""

import numpy as np
import pytest
import torch

from pipeline.core import formats
from pipeline.core.arrays import VOID
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.samples import Sample, write_samples
from pipeline.core.supervision import ROUNDS
from pipeline.nets import checkpoint
from pipeline.segment import deeplab
from pipeline.segment.deeplab import DeepLab
from stages import relabel
from tests.conftest import photo

TAGS = {"a": ("cat",), "b": ("cat", "dog"), "v": ("dog",)}
CLASSES = ["cat", "cow", "dog"]


@pytest.fixture
def slices(params):
    """The params of each variant."""
    from pipeline.core.params import section

    params["fuse"] |= {"min_seed_area_px": 4}
    return {
        name: {key: section(params, dotted, model) for key, (dotted, model) in variant.items()}
        for name, variant in relabel.SLICES.items()
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
    monkeypatch.setattr("sys.argv", ["stages", "relabel", name])
    relabel.run(layout, name, **slices[name])
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
        relabel.run(layout, name, **slices[name])


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


@pytest.mark.parametrize("name, before", ROUNDS.items())
def test_a_round_adds_the_last_segmenter_to_the_saliency(layout, slices, monkeypatch, name, before):
    """The segmenter is sure of foreground everywhere, so both seeds are in one component."""
    spec = {"kind": "deeplab", "backbone": "efficientnet_lite0", "output_stride": 16,
            "head": "v1", "classes": CLASSES}  # fmt: skip
    net = DeepLab.from_spec(spec)
    assert isinstance(net.head, deeplab.LargeFov)
    torch.nn.init.zeros_(net.head.score.weight)
    net.head.score.bias.data = torch.tensor([-9.0, 0, 9, 0])  # cow, which is not a tag
    checkpoint.save(layout.segmenter(before), net, spec, [])
    by_id = relabelled(layout, name, slices, monkeypatch)
    assert set(by_id) == {"a", "b"}
    assert (by_id["a"] == 1).all()
    assert set(np.unique(by_id["b"])) == {1, 3}  # the CRF divides it between the tags
