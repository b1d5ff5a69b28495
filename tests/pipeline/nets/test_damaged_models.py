"""A damaged model folder, or a file that holds no weights, is one line that names it and the fix.

The networks were not trained.
"""

import json
import re
import shutil

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.params import read_yaml, section
from pipeline.nets import backbones, checkpoint
from pipeline.nets.weights import read_weights
from pipeline.seeds.classifier import Classifier, classifier_spec
from pipeline.seeds.config import SeedModel
from pipeline.segment.deeplab import DeepLab
from tests.conftest import ROOT

SEGMENTER = {
    "kind": "deeplab", "backbone": "efficientnet_lite0", "output_stride": 16, "head": "v3plus",
    "classes": ["cat", "dog"],
}  # fmt: skip
SEED = section(read_yaml(ROOT / "presets/shapes.yaml"), "seed", SeedModel)
CLASSIFIER = classifier_spec(SEED, ["cat", "dog"])
KINDS = {"deeplab": (SEGMENTER, DeepLab), "classifier": (CLASSIFIER, Classifier)}
QUICK = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with a model of each kind. No test may change it."""
    root = tmp_path_factory.mktemp("models")
    for kind, (spec, network) in KINDS.items():
        checkpoint.save(root / kind, network.from_spec(spec), spec, [])
    return root


@pytest.fixture
def model(saved, tmp_path):
    """A copy of the segmenter's folder."""
    return shutil.copytree(saved / "deeplab", tmp_path / "model")


def load(folder, network=DeepLab):
    """Load a model. Return it, or the one line that says why it cannot be loaded."""
    try:
        return checkpoint.load(folder, network.from_spec)[0]
    except UserError as e:
        assert str(folder) in str(e) and len(str(e)) > len(str(folder)) + 20
        return str(e)


def test_a_whole_model_is_loaded(saved):
    for kind, (_, network) in KINDS.items():
        assert isinstance(load(saved / kind, network), network)


@pytest.mark.parametrize("kind, other", [("classifier", "deeplab"), ("deeplab", "classifier")])
def test_a_network_of_the_other_kind_is_refused(saved, kind, other):
    message = load(saved / kind, KINDS[other][1])
    assert f"this network is of kind '{kind}', not '{other}'; choose another folder" in message


@pytest.mark.parametrize("change, message", [
    ({"classes": ["cat"]}, "net.json and weights.safetensors do not fit; copy the whole folder"),
    ({"classes": ["cat", "dog", "cow"]}, "net.json and weights.safetensors do not fit"),
    ({"backbone": "resnet50"}, "net.json and weights.safetensors do not fit"),
    ({"head": "v1"}, "net.json and weights.safetensors do not fit"),
    ({"backbone": "vgg61"}, "backbone 'vgg61' at stride 16: not one of vgg16, "),
    ({"backbone": "hf-hub:timm/resnet18"}, "Unknown model (hf-hub:timm/resnet18)"),
    ({"backbone": None}, "net.json: backbone: Input should be a valid string (got None)"),
    ({"head": "v9"}, "head 'v9' is not one of v1, v2, v3, v3plus; train the network again"),
    ({"classes": "cat"}, "net.json: classes: write a list: [cat] (got 'cat')"),
    ({"classes": [1, 2]}, "net.json: classes.0: Input should be a valid string (got 1)"),
    ({"output_stride": 7}, "net.json: output_stride: Input should be 8, 16 or 32 (got 7)"),
    ({"kind": 5}, "this network is of kind '5', not 'deeplab'"),
])  # fmt: skip
def test_a_changed_description_is_one_line(model, change, message):
    formats.write_json(model / "net.json", SEGMENTER | change)
    assert message in load(model)


@pytest.mark.parametrize("change, message", [
    ({"pooling": "gapp"}, "net.json: pooling: 'gapp' is not one of attention, gap, "),
    ({"pooling": "wildcat"}, "net.json: options.wildcat.k_max is missing"),
    ({"options": {"width": 3}}, "net.json: options.gap.width: no such param"),
    ({"options": []}, "net.json: options: Input should be a valid dictionary (got [])"),
    ({"feature_attention": "x"}, "net.json: kind: 'x' is not one of adl, edam, none"),
    ({"hidden": "fc8"}, "net.json: hidden: Input should be 'none', 'fc6', "),
    ({"superpixels": -1}, "net.json: superpixels: Input should be greater than or equal to 0"),
    ({"offset_px": [1]}, "net.json: offset_px.1 is missing"),
    ({"hidden": "fc6"}, "net.json and weights.safetensors do not fit"),
])  # fmt: skip
def test_a_changed_description_of_a_classifier_is_one_line(saved, tmp_path, change, message):
    model = shutil.copytree(saved / "classifier", tmp_path / "model")
    formats.write_json(model / "net.json", CLASSIFIER | change)
    assert message in load(model, Classifier)


@pytest.mark.parametrize("content, message", [
    (b"{}", "net.json: kind is missing"),
    (b"[]", "net.json: Input should be a valid dictionary"),
    (b"5", "net.json: Input should be a valid dictionary"),
    (b"null", "net.json: Input should be a valid dictionary"),
    (b"", "net.json: is not valid JSON"),
    (b'{"kind": ', "net.json: is not valid JSON"),
    (b"\x89PNG\r\n\xff\xfe", "net.json: is not"),
    (b"[" * 100_000, "net.json: is not valid JSON"),
    (b'{"kind": ' + b"9" * 5000, "net.json: is not valid JSON"),
])  # fmt: skip
def test_a_description_that_is_none_is_one_line(model, content, message):
    (model / "net.json").write_bytes(content)
    assert message in load(model)


@pytest.mark.parametrize("content", [b"", b"no weights", b"\0" * 100, b'{"a": 1}'])
def test_damaged_weights_of_a_model_name_the_file_and_the_fix(model, content):
    (model / "weights.safetensors").write_bytes(content)
    message = load(model)
    assert "model/weights.safetensors: is not a PyTorch state dict (" in message
    assert message.endswith("; copy the whole folder of the model again, or train it again")


def test_a_model_without_weights_names_the_file_and_the_fix(model):
    (model / "weights.safetensors").unlink()
    assert "weights.safetensors: weights not found; copy the whole folder" in load(model)


def test_an_incomplete_copy_of_the_weights_is_one_line(model):
    path = model / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    assert "weights.safetensors: is not a PyTorch state dict (" in load(model)


# ---- weights that a param names


@pytest.mark.parametrize("suffix", ["pt", "pth", "safetensors", "bin"])
@pytest.mark.parametrize("content", [b"", b"\0", b"no weights", b"\x80\x02}q\x00.", b"PK\x03\x04"])
def test_a_file_that_holds_no_weights_is_one_line(tmp_path, suffix, content):
    path = tmp_path / f"w.{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError) as e:
        read_weights(path)
    pattern = rf"{re.escape(str(path))}: is not a PyTorch state dict \(.+\); give another file, or"
    assert re.match(pattern, str(e.value)), e.value


@pytest.mark.parametrize("value", [[], {}, 5, torch.ones(2), {"epoch": 3}, {"net": {}}, {3: 4}])
def test_a_pytorch_file_without_tensors_by_name_is_one_line(tmp_path, value):
    torch.save(value, tmp_path / "w.pt")
    with pytest.raises(UserError, match=r"w\.pt: is not a PyTorch state dict \(it holds no ten"):
        read_weights(tmp_path / "w.pt")


def test_a_pickled_network_is_refused_and_not_run(tmp_path):
    torch.save(nn.Linear(1, 1), tmp_path / "w.pt")
    with pytest.raises(UserError, match=r"w\.pt: is not a PyTorch state dict \("):
        read_weights(tmp_path / "w.pt")


def test_what_else_a_checkpoint_holds_is_left_out(tmp_path):
    torch.save({"a": torch.ones(2), "epoch": 3, 5: torch.ones(1)}, tmp_path / "w.pt")
    assert read_weights(tmp_path / "w.pt").keys() == {"a"}


def test_a_checkpoint_that_nests_its_weights_says_which_tensor_is_missing(tmp_path):
    state = {"state_dict": {"conv1.weight": torch.ones(1)}, "x": torch.ones(1)}
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(UserError, match=r"w\.pt: these weights do not fit this backbone: 'conv1.w"):
        backbones.build("resnet50", output_stride=16, weights=str(tmp_path / "w.pt"))


# ---- anything: a network, or one line


class Plan(checkpoint.Description):
    width: int


class Tiny(nn.Linear):
    """Stands in for a network, so that many files can be tried."""

    @classmethod
    def from_spec(cls, spec):
        return cls(2, checkpoint.demand(spec, "tiny", Plan).width)


TINY = {"kind": "tiny", "backbone": "x", "output_stride": 8, "classes": ["a"], "width": 3}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The folder of a tiny model. Each example restores the file that it changes."""
    folder = tmp_path_factory.mktemp("tiny")
    checkpoint.save(folder, Tiny(2, 3), TINY, [])
    return folder


def loads_or_says(folder, name, content, network=Tiny):
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(content)
    try:
        assert isinstance(load(folder, network), str | network)
    finally:
        (folder / name).write_bytes(whole)


@QUICK
@given(st.integers(0, 400), st.binary(max_size=4), st.integers(0, 4))
def test_weights_with_damaged_bytes_are_a_network_or_one_line(tiny, at, damage, skip):
    whole = (tiny / "weights.safetensors").read_bytes()
    damaged = whole[:at] + damage + whole[at + skip :]
    loads_or_says(tiny, "weights.safetensors", damaged)


@QUICK
@given(st.binary(max_size=60) | JSON.map(lambda v: json.dumps(v).encode()))
def test_any_description_is_a_network_or_one_line(tiny, content):
    loads_or_says(tiny, "net.json", content)


@QUICK
@given(st.sampled_from(sorted(KINDS)), st.data())
def test_any_value_in_a_description_is_a_network_or_one_line(saved, kind, data):
    spec, network = KINDS[kind]
    changed = spec | {data.draw(st.sampled_from(sorted(spec))): data.draw(JSON)}
    loads_or_says(saved / kind, "net.json", json.dumps(changed).encode(), network)


@QUICK
@given(st.integers(0, 1200), st.binary(max_size=4), st.integers(0, 4))
def test_a_pytorch_file_with_damaged_bytes_is_a_state_dict_or_one_line(tmp_path, at, damage, skip):
    torch.save({"a": torch.ones(2)}, tmp_path / "w.pt")
    whole = (tmp_path / "w.pt").read_bytes()
    (tmp_path / "w.pt").write_bytes(whole[:at] + damage + whole[at + skip :])
    try:
        state = read_weights(tmp_path / "w.pt")
    except UserError as e:
        assert "w.pt: is not a PyTorch state dict (" in str(e)
    else:
        assert all(isinstance(v, torch.Tensor) for v in state.values())
