"""fc6 and fc7 of DeepLab v1: cut out of VGG-16, or random with a line that says so."""

import pytest
import torch
import torchvision
from torch import nn

from pipeline.core import runtime
from pipeline.core.errors import UserError
from pipeline.nets import backbones, fully_connected
from pipeline.seeds.classifier import Classifier
from pipeline.segment.deeplab import DeepLab

SEGMENTER = {
    "kind": "deeplab", "backbone": "vgg16_deeplab", "output_stride": 8, "head": "v1",
    "classes": ["cat", "dog"],
}  # fmt: skip
SEEDER = {
    "kind": "classifier", "backbone": "vgg16_deeplab", "output_stride": 8, "hidden": "largefov",
    "superpixels": 0, "pooling": "gap", "options": {}, "classes": ["cat", "dog"],
    "feature_attention": "none", "feature_attention_options": {},
}  # fmt: skip


def test_fc6_keeps_taps_0_3_6_and_every_fourth_output():
    """One input channel; the weight of output o at row y and column x is 100 o + 10 y + x."""
    o, y, x = torch.meshgrid(torch.arange(8), torch.arange(7), torch.arange(7), indexing="ij")
    kept = fully_connected.decimate_fc6((100 * o + 10 * y + x).reshape(8, 49))
    assert kept.tolist() == [
        [[[0, 3, 6], [30, 33, 36], [60, 63, 66]]],
        [[[400, 403, 406], [430, 433, 436], [460, 463, 466]]],
    ]


def test_fc6_keeps_the_order_of_input_channels():
    flat = torch.arange(3 * 49).reshape(1, 147)  # channel, row, column
    assert fully_connected.decimate_fc6(flat)[0, :, 0, 0].tolist() == [0, 49, 98]


def test_fc7_keeps_every_fourth_output_and_the_inputs_that_fc6_kept():
    weight = 10 * torch.arange(8)[:, None] + torch.arange(8)
    assert fully_connected.decimate_fc7(weight)[:, :, 0, 0].tolist() == [[0, 4], [40, 44]]


@pytest.fixture(scope="module")
def state():
    """The whole state dict of VGG-16; the fully connected layers are views of few numbers."""
    features = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])
    out = {f"features.{k}": v.half() for k, v in features.state_dict().items()}
    index = torch.arange(4096.0)
    return out | {
        "classifier.0.weight": index[:, None].expand(4096, 25088),
        "classifier.0.bias": index + 0.5,
        "classifier.3.weight": index[None].expand(4096, 4096),
        "classifier.3.bias": -index,
    }


@pytest.fixture
def lines(monkeypatch):
    """What is said to people."""
    said = []
    monkeypatch.setattr(runtime, "say", said.append)
    return said


def hidden_of(spec):
    """Build the network of `spec` from ImageNet's weights; return its fc6 and fc7."""
    if spec["kind"] == "deeplab":
        layers = DeepLab.from_spec(spec, weights="imagenet").head.hidden
    else:
        layers = Classifier.from_spec(spec, weights="imagenet").hidden
    return [m for m in layers if isinstance(m, nn.Conv2d)]


@pytest.mark.parametrize("spec", [SEGMENTER, SEEDER], ids=["segmenter", "GAP-DeepLab"])
def test_networks_start_from_the_decimated_layers(monkeypatch, state, lines, spec):
    monkeypatch.setattr(backbones, "pretrained", lambda *args, **kwargs: state)
    fc6, fc7 = hidden_of(spec)
    every_fourth = torch.arange(0.0, 4096, 4)
    assert torch.equal(fc6.weight, every_fourth.view(-1, 1, 1, 1).expand(1024, 512, 3, 3))
    assert torch.equal(fc6.bias, every_fourth + 0.5)
    assert torch.equal(fc7.weight[:, :, 0, 0], every_fourth.expand(1024, 1024))
    assert torch.equal(fc7.bias, -every_fourth)
    assert fc6.weight.dtype == torch.float32 and fc6.weight.requires_grad and not lines


@pytest.mark.parametrize("spec", [SEGMENTER, SEEDER], ids=["segmenter", "GAP-DeepLab"])
def test_with_convolutions_alone_they_stay_random_and_a_line_says_so(
    monkeypatch, state, lines, spec
):
    features = {k.removeprefix("features."): v for k, v in state.items() if "features" in k}
    monkeypatch.setattr(backbones, "pretrained", lambda *args, **kwargs: features)
    fc6, fc7 = hidden_of(spec)
    assert fc6.weight.std() > 0 and fc7.weight.std() > 0
    (line,) = lines
    assert "imagenet: holds no fc6 and fc7" in line and "random" in line


def test_other_heads_and_trunks_do_not_ask_for_them(monkeypatch, state):
    monkeypatch.setattr(backbones, "pretrained", lambda *args, **kwargs: state)
    monkeypatch.setattr(fully_connected, "load_decimated", lambda *args, **kwargs: 1 / 0)
    DeepLab.from_spec(SEGMENTER | {"head": "v2"}, weights="imagenet")
    fully_connected.start_from_vgg16(nn.Sequential(), backbone="resnet50", weights="imagenet")


@pytest.mark.parametrize("name, tensor", [
    ("classifier.0.weight", torch.zeros(8, 49)), ("classifier.3.bias", None),
])  # fmt: skip
def test_layers_of_another_shape_or_in_part_are_an_error(state, name, tensor):
    net = DeepLab.from_spec(SEGMENTER)
    fc6, fc7 = (m for m in net.head.hidden if isinstance(m, nn.Conv2d))
    broken = {k: v for k, v in (state | {name: tensor}).items() if v is not None}
    with pytest.raises(UserError, match=f"vgg.pth: '{name.rpartition('.')[0]}.weight' or "):
        fully_connected.load_decimated(fc6, fc7, broken, weights="vgg.pth")
