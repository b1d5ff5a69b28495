"""Seeds out of gradients, against what they must equal."""

import pytest
import torch
from torch import nn

from pipeline import gradients
from pipeline.backbones import build
from pipeline.classifier import Classifier


@pytest.fixture
def net():
    torch.manual_seed(0)
    trunk = build("vgg16", output_stride=16, weights="none")
    return Classifier(trunk, classes=3, hidden="none", pooling="gap", options={}).eval()


@pytest.fixture
def image():
    return torch.randint(0, 255, (2, 3, 64, 64), generator=torch.Generator().manual_seed(0))


def test_gradient_equals_finite_differences(net, image):
    """Where the largest channel gradient lies, the score moves by it."""
    net = net.double()
    net.trunk.normalise = lambda x: x.double() / 100
    x = image[:1].double().requires_grad_()
    net.logits = lambda maps, image: maps.mean((2, 3))
    (slope,) = torch.autograd.grad(net(x)[0, 1].mean(), x)
    at = tuple(torch.unravel_index(slope[0].abs().argmax(), slope[0].shape))
    step = torch.zeros_like(x)
    step[(0, *at)] = 1e-4
    with torch.no_grad():
        moved = (net(x + step)[0, 1].mean() - net(x - step)[0, 1].mean()) / 2e-4
    assert moved.item() == pytest.approx(slope[(0, *at)].item(), rel=1e-3)


def test_gradient_is_the_largest_channel_in_4x4_means(net, image):
    found = gradients.gradient(net, image, [[1], [1]])
    x = image.float().requires_grad_()
    (slope,) = torch.autograd.grad(net.logits(net(x), x)[:, 1].sum(), x)
    expected = nn.functional.avg_pool2d(slope.abs().amax(1, keepdim=True), 4)
    torch.testing.assert_close(found[:, 1:2], expected)
    assert not found[:, 0].any() and not found[:, 2].any()


def test_grad_cam_of_gap_is_the_class_map_up_to_a_factor(net, image):
    found = gradients.grad_cam(net, image, [[0, 1, 2]] * 2)
    with torch.no_grad():
        maps = net(image).relu()
    positions = maps.shape[2] * maps.shape[3]
    torch.testing.assert_close(found * positions, maps)


def test_guided_lets_no_negative_gradient_pass():
    """One hidden layer by hand: the negative path is cut."""
    layer = nn.Sequential(nn.ReLU(), nn.Conv2d(2, 1, 1, bias=False))
    layer[1].weight.data = torch.tensor([[[[2.0]], [[-3.0]]]])
    x = torch.ones(1, 2, 1, 1, requires_grad=True)
    with gradients._guided(layer):
        layer(x).sum().backward()
    assert x.grad.flatten().tolist() == [2, 0]
    x.grad = None
    layer(x).sum().backward()  # the hooks are gone
    assert x.grad.flatten().tolist() == [2, -3]


def test_guided_differs_from_plain(net, image):
    plain = gradients.gradient(net, image, [[0], [0]])
    guided = gradients.guided_gradient(net, image, [[0], [0]])
    assert guided.shape == plain.shape and (guided != plain).any()


@pytest.mark.parametrize("kind", gradients.KINDS)
def test_images_of_a_batch_do_not_mix(net, image, kind):
    both = gradients.KINDS[kind](net, image, [[1], [0, 2]])
    for i, wanted in enumerate(([1], [0, 2])):
        alone = gradients.KINDS[kind](net, image[i : i + 1], [wanted])
        torch.testing.assert_close(both[i : i + 1], alone)
        assert {int(k) for k in both[i].flatten(1).any(1).nonzero()} <= {*wanted}
    assert both[1, 2].any()
