"""Where maps are painted: the offset of every trunk, measured and corrected."""

from functools import partial

import numpy as np
import pytest
import torch
import torchvision
from torch import nn
from torchvision.models import vgg

from pipeline.dataset import shapes
from pipeline.nets import alignment, backbones
from tests.conftest import SOAK


def smooth_pictures(count=4, *, size_px=256, patches=10):
    """Random pictures that change slowly, so that a map shows where things are."""
    random = torch.rand(count, 3, patches, patches, generator=torch.Generator().manual_seed(0))
    return nn.functional.interpolate(255 * random, size=(size_px, size_px), mode="bilinear")


def mirror_kernels(net):
    """Make every kernel its own mirror image: then only strides and padding move a map."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            kernel = layer.weight.data
            kernel = (kernel + kernel.flip(2)) / 2
            layer.weight.data = (kernel + kernel.flip(3)) / 2
    return net.eval()


def features(net):
    return lambda image: net(image)[net.strides[-1]]


def mismatch(compute, image, dim):
    """How much the inner map of the mirror image differs from the mirrored map, as a share."""
    plain, mirrored = compute(image), compute(image.flip(dim)).flip(dim)
    quarter = plain.shape[2] // 4
    inner = (..., slice(quarter, -quarter), slice(quarter, -quarter))
    spread = (plain - plain.mean((2, 3), keepdim=True))[inner].abs().mean()
    return float((plain - mirrored)[inner].abs().mean() / spread)


@pytest.mark.parametrize("shift", [(0, 0), (4, 0), (0, -4), (-8, 4)])
def test_a_known_offset_is_measured(shift):
    """A map that shows the picture as it was `shift` px further down and right."""

    def compute(image):
        moved = image.roll(shift, (2, 3))
        return nn.functional.avg_pool2d(moved, 8)

    assert alignment.measure_offset(compute, smooth_pictures()) == shift


# What strides and padding alone give, in px: 3x3 pools and 3x3 strides with padding 1 on both sides
# put a feature's centre on the first pixel of its cell, and the map half a cell down and right.
# EfficientNet's padding is TensorFlow's, one more px below and to the right.
# `size_px`: at a coarse stride, a small picture has too few cells.
GEOMETRY = [
    # trunk, stride, offset in px, size_px
    ("efficientnet_lite0", 8, -3.5, 256),
    *(
        pytest.param(*case, marks=pytest.mark.slow)
        for case in [
            ("resnet18", 16, 7.5, 512),
            ("efficientnet_lite0", 16, -7.5, 512),
        ]
    ),
    *(
        pytest.param(*case, marks=SOAK)  # EXACT has small ones of these; EfficientNet at stride 32
        for case in [
            ("efficientnet_lite0", 32, -15.5, 768),
            ("vgg16", 8, 0.0, 256),
            ("vgg16", 16, 0.0, 256),
            ("vgg16_deeplab", 8, 3.5, 256),
            ("vgg16_deeplab", 16, 7.5, 384),
            ("resnet50", 8, 3.5, 256),
            ("resnet50", 16, 7.5, 256),
            ("resnet50", 32, 15.5, 512),
        ]
    ),
]


@pytest.mark.parametrize(("name", "stride", "offset_px", "size_px"), GEOMETRY)
@torch.inference_mode()
def test_map_of_the_mirror_image_is_the_mirrored_map(name, stride, offset_px, size_px):
    """Left to right, and upside down; before the correction, the maps with an offset differ."""
    torch.manual_seed(0)
    net = features(mirror_kernels(backbones.build(name, output_stride=stride, weights="none")))
    image = smooth_pictures(4 if size_px // stride < 20 else 2, size_px=size_px)
    offset = alignment.measure_offset(net, image)
    assert offset == pytest.approx((offset_px, offset_px), abs=0.5)
    for dim in (2, 3):
        aligned = mismatch(lambda x: net(alignment.move(x, offset)), image, dim)
        assert aligned < 0.08
        assert offset_px == 0 or aligned < 0.6 * mismatch(net, image, dim)


# Symmetric layers have exact centres. Those of VGG-16's 2x2 pools are the middles of cells of
# `stride` px, where maps are painted. Those of the others are the pixels 0, stride, 2 * stride, and
# so on: their maps lie (stride - 1) / 2 px down and right. On 64 and on 65 px, such centres end as
# they start.
EXACT = {"vgg16": 64, "vgg16_deeplab": 65, "resnet101": 65}  # px


@pytest.fixture
def thin(monkeypatch):
    """Trunks with few channels and no weights: neither moves the centre of a feature."""
    config = vgg.cfgs["D"]
    monkeypatch.setitem(vgg.cfgs, "D", [c if c == "M" else c // 16 for c in config])
    resnet = partial(torchvision.models.resnet101, width_per_group=4)
    monkeypatch.setattr(torchvision.models, "resnet101", resnet)

    def build(name, stride):
        with torch.device("meta"):  # VGG-16's head has 120 million weights that no trunk needs
            net = backbones.build(name, output_stride=stride, weights="none")
        net.to_empty(device="cpu").mean, net.std = torch.zeros(1), torch.ones(1)
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.reset_parameters()
            elif isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
                layer.bias = None
        return net

    return build


@pytest.mark.parametrize("stride", [8, 16, 32])
@pytest.mark.parametrize("name", EXACT)
@torch.inference_mode()
def test_centres_are_where_the_layers_say(thin, name, stride):
    """The map of the mirror image is the mirrored map, upside down too, up to rounding."""
    torch.manual_seed(0)
    size_px, net = EXACT[name], features(mirror_kernels(thin(name, stride)))
    image = smooth_pictures(1, size_px=size_px)
    plain = net(image)
    assert plain.shape[2:] == (-(-size_px // stride),) * 2
    for dim in (2, 3):
        apart = (net(image.flip(dim)).flip(dim) - plain).abs().max()
        assert apart < 1e-3 * (plain - plain.flip(dim)).abs().max()


@torch.inference_mode()
def test_trained_kernels_move_a_map_too():
    """EfficientNet-Lite0 with ImageNet weights: padding alone would say -7.5 px at stride 16."""
    trunk = backbones.build("efficientnet_lite0", output_stride=16, weights="imagenet").eval()
    scenes = shapes.labelled(16, size_px=160, random_seed=0, part=0)
    image = torch.from_numpy(np.stack([s.image for s in scenes]).transpose(0, 3, 1, 2).copy())
    net = features(trunk)
    offset = alignment.measure_offset(net, image)
    assert all(5 <= px <= 11 for px in offset), offset


def test_move_shifts_the_picture_and_mirrors_its_border():
    image = torch.arange(12).view(1, 1, 3, 4)
    up = alignment.move(image, (1, 0))
    assert up[0, 0].tolist() == [[4, 5, 6, 7], [8, 9, 10, 11], [4, 5, 6, 7]]
    right = alignment.move(image, (0, -2))
    assert right[0, 0].tolist() == [[2, 1, 0, 1], [6, 5, 4, 5], [10, 9, 8, 9]]
    assert alignment.move(image, (0, 0)) is image


def test_a_map_of_few_cells_has_no_measurable_offset():
    def compute(image):
        return nn.functional.avg_pool2d(image.roll((4, 4), (2, 3)), 16)

    assert alignment.measure_offset(compute, smooth_pictures(size_px=112)) == (0, 0)
    assert alignment.measure_offset(compute, smooth_pictures(size_px=192)) != (0, 0)
