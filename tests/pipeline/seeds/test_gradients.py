"""Maps from gradients, against values that they must equal."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pipeline.inference import infer
from pipeline.nets.backbones import build
from pipeline.nets.trunk import Trunk
from pipeline.seeds import gradients
from pipeline.seeds.classifier import Classifier


@pytest.fixture
def net():
    torch.manual_seed(0)
    trunk = build("vgg16", output_stride=16, weights="none")
    return Classifier(trunk, classes=3, hidden="none", pooling="gap", options={}).eval()


@pytest.fixture
def image():
    return torch.randint(0, 255, (2, 3, 64, 64), generator=torch.Generator().manual_seed(0))


def one_layer(*layers, std=1.0):
    """A classifier with gap pooling, on three channels at image size."""
    trunk = Trunk([nn.Sequential(*layers)], [1], mean=(0.0,) * 3, std=(std,) * 3)
    trunk.channels = {1: 3}
    return Classifier(trunk, classes=2, hidden="none", pooling="gap", options={}).eval()


def test_gradient_equals_finite_differences():
    """Move one grey level at a time; take the largest channel, then the mean over 4x4 px."""
    torch.manual_seed(0)
    net = one_layer(nn.Conv2d(3, 3, 3, padding=1), nn.Tanh(), std=100.0)
    nn.init.normal_(net.score.weight)
    image = torch.randint(0, 255, (1, 3, 8, 8)).double()
    maps = gradients.gradient(net, image, [[1]])

    net = net.double()
    net.trunk.normalise = lambda x: x / 100  # the originals of these two round to float32
    net.logits = lambda maps, image: maps.mean((2, 3))
    step = 0.1 * torch.eye(image.numel()).double().view(-1, *image.shape[1:])
    with torch.no_grad():
        slope = (net.scores(image + step)[:, 1] - net.scores(image - step)[:, 1]) / 0.2
    largest = slope.view(3, 8, 8).abs().amax(0)
    expected = torch.stack([largest[y : y + 4, x : x + 4].mean() for y in (0, 4) for x in (0, 4)])
    mean_one = (expected / largest.mean()).view(2, 2).float()
    torch.testing.assert_close(maps[0, 1], mean_one, rtol=1e-3, atol=0)
    assert expected.min() > 0 and not maps[0, 0].any()


def test_grad_cam_of_gap_is_the_class_map_over_two_scales(net, image):
    """Merged as the stage merges them. A mean over positions would weigh the scales differently."""
    scales = [image, F.interpolate(image.float(), scale_factor=2)]
    maps = [gradients.grad_cam(net, view, [[0, 1, 2]] * 2) for view in scales]
    with torch.no_grad():
        class_maps = [net(view) for view in scales]
    merged, expected = (infer.merge([m.relu() for m in each]) for each in (maps, class_maps))
    assert expected.max() > 0
    torch.testing.assert_close(merged, expected)


@pytest.mark.parametrize("kind", ["gradient", "guided_gradient"])
def test_pixel_gradients_of_every_scale_weigh_the_same(net, image, kind):
    """A mean over four times the positions has a quarter of the gradient."""
    for view in (image, F.interpolate(image.float(), scale_factor=2)):
        maps = gradients.KINDS[kind](net, view, [[0], [2]])
        torch.testing.assert_close(maps[0, 0].mean(), torch.tensor(1.0))
        torch.testing.assert_close(maps[1, 2].mean(), torch.tensor(1.0))
        assert not maps[0, 1:].any() and not maps[1, :2].any()


def test_guided_backpropagation_by_hand():
    """The score is the mean of 2 red - 3 green + blue; guided, green's gradient is cut off.

    On the left all colours pass the ReLU, on the right blue alone. Then each map gets mean 1.
    """
    net = one_layer(nn.ReLU())
    net.score.weight.data[0] = torch.tensor([2.0, -3.0, 1.0]).view(3, 1, 1)
    image = torch.ones(1, 3, 4, 8)
    image[:, :2, :, 4:] = -1
    plain, guided = torch.tensor([[3.0, 1]]) / 2, torch.tensor([[2.0, 1]]) / 1.5
    torch.testing.assert_close(gradients.gradient(net, image, [[0]])[0, 0], plain)
    torch.testing.assert_close(gradients.guided_gradient(net, image, [[0]])[0, 0], guided)
    afterwards = gradients.gradient(net, image, [[0]])  # the hooks are removed
    torch.testing.assert_close(afterwards[0, 0], plain)


@pytest.mark.parametrize("kind", gradients.KINDS)
def test_images_of_a_batch_do_not_mix(net, image, kind):
    both = gradients.KINDS[kind](net, image, [[1], [0, 2]])
    for i, tags in enumerate(([1], [0, 2])):
        alone = gradients.KINDS[kind](net, image[i : i + 1], [tags])
        torch.testing.assert_close(both[i : i + 1], alone)
        assert {int(k) for k in both[i].flatten(1).any(1).nonzero()} <= {*tags}
    assert both[1, 2].any()
