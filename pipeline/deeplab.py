"""The DeepLab segmenter; with two outputs it is the saliency network too.

Shapes: N images, C channels, H, W image size in px, h, w logit size.
Sources: DeepLab v1 LargeFOV (Chen et al., ICLR 2015), ASPP (DeepLab v3, 2017), the skip connection
of DeepLab v3+ (2018).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline import backbones
from pipeline.arrays import VOID


def _conv(inside: int, outside: int, kernel: int, dilation: int = 1) -> nn.Sequential:
    pad = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel, padding=pad, dilation=dilation, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )


class LargeFov(nn.Module):
    """fc6 3x3 with dilation 12, fc7 1x1, both 1024 wide, then the score layer."""

    def __init__(self, channels: dict[int, int], outputs: int) -> None:
        super().__init__()
        self.stride = max(channels)
        self.hidden = nn.Sequential(
            nn.Conv2d(channels[self.stride], 1024, 3, padding=12, dilation=12),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Conv2d(1024, 1024, 1),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
        )
        self.score = nn.Conv2d(1024, outputs, 1)
        nn.init.normal_(self.score.weight, std=0.01)
        nn.init.zeros_(self.score.bias)  # type: ignore[arg-type]

    def forward(self, features: dict[int, Tensor]) -> Tensor:
        """Logits at the trunk's output stride."""
        return self.score(self.hidden(features[self.stride]))


class Aspp(nn.Module):
    """Atrous spatial pyramid at the deepest stride, joined with a skip at stride 8."""

    def __init__(self, channels: dict[int, int], outputs: int, width: int = 128) -> None:
        super().__init__()
        self.deep = max(channels)
        self.stride = min(8, self.deep)
        rates = [r * 16 // self.deep for r in (6, 12, 18)]
        deep = channels[self.deep]
        self.branches = nn.ModuleList([_conv(deep, width, 1)])
        self.branches.extend(_conv(deep, width, 3, r) for r in rates)
        self.image = _conv(deep, width, 1)
        self.merge = nn.Sequential(_conv(width * 5, width, 1), nn.Dropout(0.1))
        self.skip = _conv(channels[self.stride], 48, 1)
        self.decode = _conv(width + 48, width, 3)
        self.score = nn.Conv2d(width, outputs, 1)

    def forward(self, features: dict[int, Tensor]) -> Tensor:
        """Logits at stride 8."""
        deep, fine = features[self.deep], features[self.stride]
        whole = self.image(deep.mean((2, 3), keepdim=True)).expand(-1, -1, *deep.shape[2:])
        x = self.merge(torch.cat([*(b(deep) for b in self.branches), whole], dim=1))
        x = F.interpolate(x, fine.shape[2:], mode="bilinear", align_corners=False)
        return self.score(self.decode(torch.cat([x, self.skip(fine)], dim=1)))


HEADS: dict[str, type[LargeFov] | type[Aspp]] = {"largefov": LargeFov, "aspp": Aspp}


class DeepLab(nn.Module):
    """Trunk and head; input grey levels 0..255 (N, 3, H, W), output logits (N, outputs, h, w)."""

    def __init__(self, trunk: backbones.Trunk, *, head: str, outputs: int) -> None:
        super().__init__()
        self.strides = trunk.strides
        self.trunk = trunk
        self.head = HEADS[head](trunk.channels, outputs)

    def forward(self, image_N3HW: Tensor) -> Tensor:
        """Logits at the head's stride."""
        return self.head(self.trunk(image_N3HW))


def pixel_loss(logits_NChw: Tensor, label_NHW: Tensor, *, stride: int) -> Tensor:
    """Mean cross-entropy over the pixels that are not void.

    Labels are resized by nearest neighbour to `stride` (321 px at stride 8: 41), logits bilinearly
    to the same size; with the logits' own stride this is DeepLab v1's loss at map size.
    """
    size = [-(-side // stride) for side in label_NHW.shape[1:]]
    label = F.interpolate(label_NHW[:, None], size, mode="nearest-exact")[:, 0].long()
    logits = logits_NChw.float()
    if logits.shape[2:] != label.shape[1:]:
        logits = F.interpolate(logits, label.shape[1:], mode="bilinear", align_corners=False)
    known = (label != VOID).sum().clamp(min=1)
    return F.cross_entropy(logits, label, ignore_index=VOID, reduction="sum") / known
