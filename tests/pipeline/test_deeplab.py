import pytest
import torch

from pipeline import backbones, deeplab
from pipeline.arrays import VOID


@pytest.mark.parametrize("head, name, stride", [
    ("aspp", "efficientnet_lite0", 16), ("aspp", "resnet50", 8), ("aspp", "efficientnet_lite0", 32),
    ("largefov", "vgg16_deeplab", 8),
])  # fmt: skip
def test_logits_at_stride_8(head, name, stride):
    trunk = backbones.build(name, output_stride=stride, weights="none")
    net = deeplab.DeepLab(trunk, head=head, outputs=7).eval()
    with torch.no_grad():
        out = net(torch.zeros(2, 3, 64, 96))
    assert out.shape[:2] == (2, 7) and abs(out.shape[2] - 8) <= 1


def test_loss_at_map_size_equals_plain_cross_entropy():
    logits, label = torch.randn(2, 4, 5, 6), torch.randint(0, 4, (2, 40, 48), dtype=torch.uint8)
    expected = torch.nn.functional.cross_entropy(logits, label[:, 4::8, 4::8].long())
    torch.testing.assert_close(deeplab.pixel_loss(logits, label, stride=8), expected)


def test_void_pixels_do_not_count():
    logits, label = torch.randn(1, 3, 4, 4), torch.randint(0, 3, (1, 4, 4), dtype=torch.uint8)
    label[0, :2] = VOID
    half = deeplab.pixel_loss(logits[:, :, 2:], label[:, 2:], stride=1)
    torch.testing.assert_close(deeplab.pixel_loss(logits, label, stride=1), half)
    label[:] = VOID
    assert deeplab.pixel_loss(logits, label, stride=1) == 0


def test_dilated_branches_scale_with_the_stride():
    trunk = backbones.build("resnet50", output_stride=8, weights="none")
    net = deeplab.DeepLab(trunk, head="aspp", outputs=2)
    assert [b[0].dilation[0] for b in net.head.branches[1:]] == [12, 24, 36]
