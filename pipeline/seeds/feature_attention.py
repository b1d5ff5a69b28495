"""Attention on the features under the score layer, from the features themselves.

Each kind is a layer that turns features (N, C, h, w) into factors of the class maps, (N, 1, h, w)
or (N, K, h, w). The score layer is linear at each position and has no bias. So a factor of the
class map is a factor of the features that the class sees.

This is not pooling `attention`, which weights the positions to pool them.

Shapes: N images, K classes, C channels, h, w map size.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Adl(nn.Module):
    """Attention-based dropout layer: in training only, hide or stress the strongest positions.

    The attention of a position is the mean of its channels. For each batch, one of two factors is
    drawn: with the chance `drop_rate`, the drop mask, which is 0 where the attention is at least
    `drop_threshold` times its maximum in the image, and 1 elsewhere; else the importance map, which
    is the sigmoid of the attention. At test time, the factor is 1.

    Source: Choe & Shim, CVPR 2019, with the defaults of wsolevaluation's layer (its command line
    has a threshold of 0.9). Departure: they put the layer at several depths of the trunk, we put
    one under the score layer.
    """

    def __init__(self, *, drop_rate: float, drop_threshold: float) -> None:
        super().__init__()
        self.drop_rate, self.drop_threshold = drop_rate, drop_threshold

    def forward(self, features_NChw: Tensor) -> Tensor:
        """Compute the factor (N, 1, h, w)."""
        attention = features_NChw.float().mean(1, keepdim=True)
        if not self.training:
            return torch.ones_like(attention)
        if float(torch.rand(())) >= self.drop_rate:
            return attention.sigmoid()
        top = attention.amax((2, 3), keepdim=True)
        return (attention < self.drop_threshold * top).float()


class Edam(nn.Module):
    """Class-specific attention: at each position, a softmax over the classes and the background.

    Source: Wu et al., CVPR 2021 (Embedded Discriminative Attention Mechanism), recalled: the
    attention map of a class multiplies the features, and the class is scored from these. Departure:
    the original then lets the attended features of all images in a batch attend to each other
    (collaborative multi-attention). We leave that out.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.attend = nn.Conv2d(channels, 1 + classes, 1)

    def forward(self, features_NChw: Tensor) -> Tensor:
        """Compute the factors (N, K, h, w), in [0, 1]."""
        attention: Tensor = self.attend(features_NChw).float().softmax(1)
        return attention[:, 1:]  # 0 is the background


# Builds the layer from the number of channels, the number of classes, and its options.
FEATURE_ATTENTIONS: dict[str, Callable[[int, int, dict[str, Any]], nn.Module | None]] = {
    "none": lambda channels, classes, options: None,
    "adl": lambda channels, classes, options: Adl(**options),
    "edam": lambda channels, classes, options: Edam(channels, classes),
}
