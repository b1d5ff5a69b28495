"""Which kind an operator of a profile is, and how many multiplications a step has."""

import torch
from torch import nn

from benchmarks.networks import train_params
from benchmarks.operators import kind_of, multiplications


def test_a_convolution_is_named_by_its_weight():
    grad, image = [16, 8, 20, 20], [16, 8, 20, 20]
    assert kind_of("aten::mkldnn_convolution", [image, [8, 1, 3, 3]]) == (
        "depthwise convolutions, forward"
    )
    assert kind_of("aten::convolution_backward", [grad, image, [8, 8, 1, 1]]) == (
        "1x1 convolutions, backward"
    )
    assert kind_of("aten::convolution_backward", [grad, image, [1, 1, 3, 3]]) == (
        "other convolutions, backward"
    )


def test_the_way_back_of_batch_normalisation_is_not_its_way_forward():
    assert kind_of("aten::native_batch_norm", []) == "batch normalisation, forward"
    assert kind_of("aten::native_batch_norm_backward", []) == "batch normalisation, backward"
    assert kind_of("aten::sum", []) == "other"


class Two(nn.Module):
    """A frozen 3x3 convolution of stride 2, and a trained 1x1 one."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Conv2d(4, 5, 1)
        self.a.requires_grad_(False)

    def forward(self, image):
        return self.b(self.a(image.float()))


def test_multiplications_are_counted_by_hand():
    counts = multiplications(Two(), train_params(32, 2))
    assert counts["other convolutions, forward"] == 2 * 16 * 16 * 4 * 27
    assert counts["1x1 convolutions, forward"] == 2 * 16 * 16 * 5 * 4
    assert counts["1x1 convolutions, backward"] == 2 * counts["1x1 convolutions, forward"]
    assert counts["other convolutions, backward"] == 0
    assert torch.is_grad_enabled()
