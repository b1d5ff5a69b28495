"""Trunks: strides, widths, frozen stages, and the same features as the published networks."""

import numpy as np
import pytest
import timm
import torch
import torchvision

from pipeline.core.errors import UserError
from pipeline.dataset import shapes
from pipeline.nets import backbones, weights
from tests.conftest import REAL

NAMES = [
    "vgg16",
    "vgg16_deeplab",
    "resnet50",
    "resnet101",
    "efficientnet_lite0",
    "resnet18.a1_in1k",
]


@pytest.mark.parametrize("stride", [8, 16, 32])
@pytest.mark.parametrize("name", NAMES)
def test_features_have_the_declared_strides_and_widths(name, stride):
    trunk = backbones.build(name, output_stride=stride, weights="none").eval()
    with torch.no_grad():
        features = trunk(torch.zeros(1, 3, 96, 96, dtype=torch.uint8))
    assert max(features) == stride
    for s, f in features.items():
        assert f.shape[1] == trunk.channels[s]
        assert abs(f.shape[2] - 96 / s) <= 1  # DeepLab's padded pools add one


def test_vgg16_deeplab_and_resnet_dilate_at_stride_8():
    vgg = backbones.build("vgg16_deeplab", output_stride=8, weights="none")
    rates = [m.dilation[0] for m in vgg.stages[4] if isinstance(m, torch.nn.Conv2d)]
    assert rates == [2, 2, 2]
    resnet = backbones.build("resnet50", output_stride=8, weights="none")
    assert resnet.stages[4][-1].conv2.dilation == (4, 4)


def test_vgg16_deeplab_maps_321_px_to_41():
    trunk = backbones.build("vgg16_deeplab", output_stride=8, weights="none").eval()
    with torch.no_grad():
        assert trunk(torch.zeros(1, 3, 321, 321))[8].shape[2:] == (41, 41)


FIRST_TWO = {
    "efficientnet_lite0": ("stages.0.", "stages.1."),
    "resnet18.a1_in1k": ("net.conv1.", "net.bn1.", "net.layer1."),
}


@pytest.mark.parametrize("name", FIRST_TWO)
def test_freezing_two_stages_freezes_their_weights_and_statistics_and_no_others(name):
    trunk = backbones.build(name, output_stride=16, weights="none")
    trunk.freeze(2)
    trunk.train()
    before = {k: v.clone() for k, v in trunk.state_dict().items()}
    trunk(torch.randint(0, 255, (2, 3, 64, 64)))[16].mean().backward()
    for key, p in trunk.named_parameters():
        assert p.requires_grad != key.startswith(FIRST_TWO[name]), key
    for key, value in trunk.state_dict().items():
        if key.endswith(("running_mean", "running_var")):
            kept = bool((value == before[key]).all())
            assert kept == key.startswith(FIRST_TWO[name]), key


def make_distinct(net):
    """Give every batch normalisation of `net` other values, so that swapped tensors show."""
    for m in net.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            for value in (m.weight.data, m.running_var):
                torch.nn.init.uniform_(value, 0.5, 1.5)
            for value in (m.bias.data, m.running_mean):
                torch.nn.init.normal_(value, std=0.2)
    return net.eval()


def published(name):
    """Return the published network, its modules by stride, and the mean and std of its input."""
    torch.manual_seed(0)
    if name == "vgg16":
        net = torchvision.models.vgg16(weights=None)
        ends = dict(
            zip((1, 2, 4, 8, 16), (net.features[i] for i in (3, 8, 15, 22, 29)), strict=True)
        )
        norm = torchvision.models.VGG16_Weights.IMAGENET1K_V1.transforms()
    elif name == "resnet50":
        net = torchvision.models.resnet50(weights=None)
        ends = {2: net.relu, 4: net.layer1, 8: net.layer2, 16: net.layer3, 32: net.layer4}
        norm = torchvision.models.ResNet50_Weights.DEFAULT.transforms()
    elif name == "efficientnet_lite0":
        net = timm.create_model("tf_efficientnet_lite0", pretrained=False)
        b = net.blocks
        ends = {2: b[0], 4: b[1], 8: b[2], 16: b[4], 32: b[6]}
        return make_distinct(net), ends, 127.0, 128.0  # grey levels, as in TensorFlow's release
    else:
        net = timm.create_model(name, pretrained=False)
        ends = {2: net.act1, 4: net.layer1, 8: net.layer2, 16: net.layer3, 32: net.layer4}
        config = net.pretrained_cfg
        return make_distinct(net), ends, *(_levels(config[k]) for k in ("mean", "std"))
    return make_distinct(net), ends, _levels(norm.mean), _levels(norm.std)


def _levels(fractions):
    return 255 * torch.tensor(fractions).view(1, 3, 1, 1)


def outputs(net, ends, image):
    """Run `net` on `image`, and return the outputs of the modules `ends` by stride."""
    features = {}
    hooks = [
        m.register_forward_hook(lambda m, x, y, s=s: features.update({s: y.clone()}))
        for s, m in ends.items()
    ]
    with torch.no_grad():
        net(image)
    for hook in hooks:
        hook.remove()
    return features


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "efficientnet_lite0", "resnet18.a1_in1k"])
def test_a_trunk_with_weights_from_a_file_gives_the_features_of_the_published_network(
    tmp_path, name
):
    net, ends, mean, std = published(name)
    with (tmp_path / "w.pth").open("wb") as f:
        torch.save(net.state_dict(), f)
    image = torch.randint(0, 255, (1, 3, 64, 96), dtype=torch.uint8)
    expected = outputs(net, ends, (image.float() - mean) / std)
    trunk = backbones.build(name, output_stride=max(ends), weights=str(tmp_path / "w.pth")).eval()
    with torch.no_grad():
        by_stride = trunk(image)
    assert by_stride.keys() == expected.keys()
    for stride, features in expected.items():
        assert features.std() > 1e-3
        close = {"rtol": 1e-3, "atol": 1e-3 * features.abs().max().item()}
        torch.testing.assert_close(by_stride[stride], features, **close)


def test_lite0_of_a_classifier_ends_with_the_last_convolution_of_the_published_network(tmp_path):
    net, _, mean, std = published("efficientnet_lite0")
    with (tmp_path / "w.pth").open("wb") as f:
        torch.save(net.state_dict(), f)
    image = torch.randint(0, 255, (1, 3, 64, 96), dtype=torch.uint8)
    trunk = backbones.build(
        "efficientnet_lite0", output_stride=32, weights=str(tmp_path / "w.pth"), classify=True
    ).eval()
    with torch.no_grad():
        expected = net.forward_features((image.float() - mean) / std)
        torch.testing.assert_close(trunk(image)[32], expected, rtol=1e-3, atol=1e-3)


def test_vgg16_deeplab_has_the_convolutions_of_the_published_network_in_order(tmp_path):
    net, *_ = published("vgg16")
    with (tmp_path / "w.pth").open("wb") as f:
        torch.save(net.state_dict(), f)
    trunk = backbones.build("vgg16_deeplab", output_stride=8, weights=str(tmp_path / "w.pth"))
    for loaded, expected in zip(trunk.parameters(), net.features.parameters(), strict=True):
        assert torch.equal(loaded, expected)


def test_lite0_weights_of_the_package_fit_the_means_of_their_batch_normalisation():
    """If tensors were in another order, the means of features would differ from those stored."""
    trunk = backbones.build("efficientnet_lite0", output_stride=32, weights="imagenet").eval()
    scenes = shapes.labelled(8, size_px=224, random_seed=0, part=0)
    image = torch.from_numpy(np.stack([s.image for s in scenes])).permute(0, 3, 1, 2)
    norms = [m for m in trunk.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    correlations = []
    for norm in norms:
        norm.register_forward_pre_hook(
            lambda m, x: correlations.append(
                torch.corrcoef(torch.stack([x[0].mean((0, 2, 3)), m.running_mean]))[0, 1].item()
            )
        )
    with torch.no_grad():
        trunk(image)
    assert len(correlations) == len(norms) and np.median(correlations) > 0.8


def test_an_unknown_backbone_and_missing_or_unfit_weights_are_errors(tmp_path):
    with pytest.raises(UserError, match="backbone 'vgg61'"):
        backbones.build("vgg61", output_stride=16, weights="none")
    with pytest.raises(UserError, match="weights not found"):
        backbones.build("vgg16", output_stride=8, weights=str(tmp_path / "w.pth"))
    with (tmp_path / "w.pth").open("wb") as f:
        torch.save({"0.weight": torch.zeros(1)}, f)
    with pytest.raises(UserError, match="do not fit this backbone"):
        backbones.build("vgg16", output_stride=8, weights=str(tmp_path / "w.pth"))


@pytest.mark.parametrize("error", [OSError, RuntimeError])
def test_a_failed_download_is_an_error_that_names_the_backbone(error):
    def download():
        raise error("no route to host")

    message = f"weights 'imagenet' of vgg16: the download failed .{error.__name__}"
    with pytest.raises(UserError, match=message):
        weights.pretrained("imagenet", backbone="vgg16", download=download)


def test_half_precision_weights_of_vgg16_load_as_float32():
    path = REAL.parent / "weights/vgg16_imagenet_features_fp16.pth"
    if not path.exists():
        pytest.skip(f"no {path}")
    net = torchvision.models.vgg16(weights=None).features
    state = torch.load(path, weights_only=True)
    assert {v.dtype for v in state.values()} == {torch.float16}
    net.load_state_dict({k.removeprefix("features."): v.float() for k, v in state.items()})
    image = torch.rand(1, 3, 32, 32)
    trunk = backbones.build("vgg16", output_stride=16, weights=str(path)).eval()
    trunk.normalise = lambda image: image
    with torch.no_grad():
        torch.testing.assert_close(trunk(image)[16], net[:30](image))
