"""The heads of DeepLab and its pixel loss."""

from typing import get_args

import pytest
import torch

from pipeline.core.arrays import VOID
from pipeline.core.errors import UserError
from pipeline.nets import backbones
from pipeline.segment import deeplab
from pipeline.segment.config import Head


@pytest.mark.parametrize("head, name, stride, logits", [
    ("v1", "vgg16_deeplab", 8, 8), ("v1", "efficientnet_lite0", 16, 16),
    ("v2", "vgg16_deeplab", 8, 8), ("v2", "efficientnet_lite0", 16, 16),
    ("v3", "resnet50", 8, 8), ("v3", "efficientnet_lite0", 16, 16),
    ("v3plus", "resnet50", 8, 4), ("v3plus", "efficientnet_lite0", 16, 8),
    ("v3plus", "efficientnet_lite0", 32, 8),
])  # fmt: skip
def test_shape_and_stride_of_the_logits(head, name, stride, logits):
    trunk = backbones.build(name, output_stride=stride, weights="none")
    net = deeplab.DeepLab(trunk, head=head, outputs=7).eval()
    with torch.no_grad():
        out = net(torch.zeros(2, 3, 64, 96))
    assert out.shape[:2] == (2, 7) and net.head.stride == logits
    assert abs(out.shape[2] - 64 / logits) <= 1 and abs(out.shape[3] - 96 / logits) <= 1


def test_every_head_is_a_choice_in_params():
    assert tuple(deeplab.HEADS) == get_args(Head)


def test_an_error_names_an_unknown_head():
    net = {"kind": "deeplab", "backbone": "vgg16", "output_stride": 8, "classes": ["a"]}
    with pytest.raises(UserError, match=r"head 'old' is not one of v1, .*train the network again"):
        deeplab.DeepLab.from_spec(net | {"head": "old"})


def test_v2_with_weights_in_one_branch_equals_that_branch():
    head = deeplab.HEADS["v2"]({8: 6}, 3).eval()
    x = torch.randn(1, 6, 40, 40)
    for i, score in enumerate(head.score):
        if i != 2:
            torch.nn.init.zeros_(score.weight)
    with torch.no_grad():
        torch.testing.assert_close(head({8: x}), head.score[2](head.hidden[2](x)))
    assert head.score[2].weight.abs().sum() > 0


@pytest.mark.parametrize("stride, rates", [(8, [6, 12, 18, 24]), (16, [3, 6, 9, 12])])
def test_dilations_of_v2_scale_with_the_stride(stride, rates):
    head = deeplab.HEADS["v2"]({stride: 6}, 3)
    assert [h[0].dilation[0] for h in head.hidden] == rates


def test_v3_reads_only_the_deepest_features():
    head = deeplab.HEADS["v3"]({4: 5, 16: 6}, 3).eval()
    with torch.no_grad():
        assert head({16: torch.randn(1, 6, 4, 5)}).shape == (1, 3, 4, 5)


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


def test_dilations_of_v3plus_scale_with_the_stride():
    trunk = backbones.build("resnet50", output_stride=8, weights="none")
    net = deeplab.DeepLab(trunk, head="v3plus", outputs=2)
    assert [b[0].dilation[0] for b in net.head.branches[1:]] == [12, 24, 36]
