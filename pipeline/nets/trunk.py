"""The class of all trunks: an image goes in, feature maps at several strides come out.

Shapes: N batch, H, W image size in px.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Trunk(nn.Module):
    """Stages that run one after another.

    `strides` holds the stride of each stage's output, and `channels` its width by stride.
    `file_names` are the names of its tensors, in order, in the weights files of its backbone.
    """

    channels: dict[int, int]
    file_names: Sequence[str]

    def __init__(
        self,
        stages: Sequence[nn.Module],
        strides: Sequence[int],
        *,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.strides = list(strides)
        self.frozen = 0
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def normalise(self, image_N3HW: Tensor) -> Tensor:
        """Turn grey levels 0..255 of any dtype into the float32 input of the pretrained weights."""
        return (image_N3HW.float() - self.mean) / self.std  # type: ignore[operator]

    def forward(self, image_N3HW: Tensor) -> dict[int, Tensor]:
        """Return features by stride. If stages share a stride, the deepest one counts."""
        x, features = self.normalise(image_N3HW), {}
        for stage, stride in zip(self.stages, self.strides, strict=True):
            x = stage(x)
            features[stride] = x
        return features

    def file_state(self) -> dict[str, Tensor]:
        """Return the weights as a weights file of the backbone names them.

        So a trunk of the same backbone with another stride can load them. EfficientNet-Lite0 must
        be built with `classify`.
        """
        return dict(zip(self.file_names, self.state_dict().values(), strict=True))

    def frozen_modules(self) -> list[nn.Module]:
        """Return the first `frozen` stages. Neither their weights nor their statistics learn."""
        return list(self.stages[: self.frozen])

    def freeze(self, count: int) -> None:
        """Freeze the first `count` stages. Their edges and textures carry over from ImageNet."""
        self.frozen = count
        for module in self.frozen_modules():
            module.requires_grad_(False)

    def train(self, mode: bool = True) -> "Trunk":
        """Set training mode as nn.Module does, but leave frozen stages in evaluation mode."""
        super().train(mode)
        for module in self.frozen_modules():
            module.eval()
        return self


class TimmTrunk(Trunk):
    """A timm model with `features_only`."""

    foreign = True  # rewrite.fold skips it, because its layers may run in another order

    def __init__(self, net: nn.Module, *, mean: Sequence[float], std: Sequence[float]) -> None:
        info: Any = net.feature_info
        super().__init__([], info.reduction(), mean=mean, std=std)
        self.net, self.stage_ends = net, info.module_name()

    def forward(self, image_N3HW: Tensor) -> dict[int, Tensor]:
        """Return features by stride. If stages share a stride, the deepest one counts."""
        return dict(zip(self.strides, self.net(self.normalise(image_N3HW)), strict=True))

    def frozen_modules(self) -> list[nn.Module]:
        """Return all layers up to the end of stage `frozen`."""
        if not self.frozen:
            return []
        layers = [(n, m) for n, m in self.net.named_modules() if not list(m.children())]
        end = self.stage_ends[min(self.frozen, len(self.stage_ends)) - 1]
        inside = [i for i, (n, _) in enumerate(layers) if n == end or n.startswith(end + ".")]
        return [m for _, m in layers[: max(inside, default=-1) + 1]]
