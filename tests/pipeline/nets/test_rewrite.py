"""Rewritten networks compute the same as the networks that they replace."""

import pytest
import torch

from pipeline.nets import backbones, rewrite
from pipeline.segment import deeplab


@pytest.mark.parametrize(
    ("kernel", "rate", "size"), [(5, 2, (11, 14)), (3, 2, (8, 8)), (3, 4, (9, 7))]
)
def test_an_interleaved_convolution_equals_the_dilated_one_with_its_gradients(kernel, rate, size):
    torch.manual_seed(0)
    padding = rate * (kernel - 1) // 2
    conv = torch.nn.Conv2d(6, 6, kernel, padding=padding, dilation=rate, groups=6).double()
    image = torch.randn(2, 6, *size, dtype=torch.double, requires_grad=True)
    plain = conv(image)
    output_gradient = torch.randn_like(plain)
    gradients = torch.autograd.grad(plain, [image, *conv.parameters()], output_gradient)
    rewrite.interleave(torch.nn.Sequential(conv))
    assert type(conv) is rewrite.Interleaved
    interleaved = torch.autograd.grad(conv(image), [image, *conv.parameters()], output_gradient)
    torch.testing.assert_close(conv(image), plain)
    torch.testing.assert_close(interleaved, gradients)


def test_dilated_convolutions_of_lite0_at_stride_16_are_interleaved_on_a_cpu(monkeypatch):
    monkeypatch.setenv("GUIDELABEL_DEVICE", "cpu")
    trunk = backbones.build("efficientnet_lite0", output_stride=16, weights="none")
    dilated = [m for m in trunk.modules() if getattr(m, "dilation", (1, 1)) != (1, 1)]
    assert len(dilated) == 4 and all(isinstance(m, rewrite.Interleaved) for m in dilated)


@pytest.mark.parametrize("name", [*backbones.TRUNKS, "resnet18.a1_in1k"])
def test_a_folded_segmenter_gives_the_same_logits(name):
    torch.manual_seed(0)
    trunk = backbones.build(name, output_stride=16, weights="none")
    net = deeplab.DeepLab(trunk, head="v3plus", outputs=3).eval()
    for layer in net.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(layer.running_mean, std=0.1)
            torch.nn.init.uniform_(layer.running_var, 0.5, 1.5)
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.normal_(layer.bias, std=0.1)
    image = torch.randint(0, 255, (2, 3, 64, 64), dtype=torch.uint8)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    folded = rewrite.fold(net)
    with torch.inference_mode():
        torch.testing.assert_close(folded(image), net(image), rtol=1e-3, atol=1e-4)
    assert all((before[k] == v).all() for k, v in net.state_dict().items())
    left = sum(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    assert (left > 0) == (name == "resnet18.a1_in1k")
