"""The image classifier whose class maps become seeds: trunk, optional 3x3 layers, score layer.

Shapes: N images, K classes, H, W image size in px, h, w map size.
Source: GAP seeder of Oh et al., CVPR 2017; class activation maps, Zhou et al., CVPR 2016.
"""

from typing import Any

from torch import Tensor, nn

from pipeline import backbones
from pipeline.pooling import POOLINGS


class Classifier(nn.Module):
    """Fully convolutional: the score layer has no bias, so its output is the class map itself."""

    def __init__(
        self,
        trunk: backbones.Trunk,
        *,
        classes: int,
        hidden_convs: int,
        pooling: str,
        options: dict[str, Any],
    ) -> None:
        super().__init__()
        width = trunk.channels[trunk.strides[-1]]
        layers: list[nn.Module] = []
        for _ in range(hidden_convs):
            layers += [nn.Conv2d(width, 1024, 3, padding=1), nn.ReLU(inplace=True), nn.Dropout(0.5)]
            nn.init.normal_(layers[-3].weight, std=0.005)  # type: ignore[arg-type]
            nn.init.zeros_(layers[-3].bias)  # type: ignore[arg-type]
            width = 1024
        self.strides = trunk.strides
        self.trunk, self.hidden = trunk, nn.Sequential(*layers)
        self.score = nn.Conv2d(width, classes, 1, bias=False)
        nn.init.normal_(self.score.weight, std=0.005)
        self.pooling, self.options = POOLINGS[pooling], options

    def forward(self, image_N3HW: Tensor) -> Tensor:
        """Class maps (N, K, h, w), before any ReLU."""
        features = self.trunk(image_N3HW)[self.trunk.strides[-1]]
        return self.score(self.hidden(features))

    def logits(self, maps_NKhw: Tensor) -> Tensor:
        """Scores (N, K): the chosen pooling of the maps."""
        return self.pooling(maps_NKhw.float(), **self.options)
