import pytest
import torch

from pipeline import backbones, interleaved


@pytest.mark.parametrize(
    ("kernel", "rate", "size"), [(5, 2, (11, 14)), (3, 2, (8, 8)), (3, 4, (9, 7))]
)
def test_interleaved_convolution_is_the_dilated_one(kernel, rate, size):
    torch.manual_seed(0)
    padding = rate * (kernel - 1) // 2
    conv = torch.nn.Conv2d(6, 6, kernel, padding=padding, dilation=rate, groups=6).double()
    image = torch.randn(2, 6, *size, dtype=torch.double, requires_grad=True)
    plain = conv(image)
    slope = torch.randn_like(plain)
    wanted = torch.autograd.grad(plain, [image, *conv.parameters()], slope)
    interleaved.interleave(torch.nn.Sequential(conv))
    assert type(conv) is interleaved.Interleaved
    found = torch.autograd.grad(conv(image), [image, *conv.parameters()], slope)
    torch.testing.assert_close(conv(image), plain)
    torch.testing.assert_close(found, wanted)


def test_lite0_at_stride_16_has_its_dilated_convolutions_interleaved():
    trunk = backbones.build("efficientnet_lite0", output_stride=16, weights="none")
    dilated = [m for m in trunk.modules() if getattr(m, "dilation", (1, 1)) != (1, 1)]
    assert len(dilated) == 4 and all(isinstance(m, interleaved.Interleaved) for m in dilated)
