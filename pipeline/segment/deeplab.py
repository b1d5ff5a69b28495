"""The DeepLab network and its pixel loss.

The segmenter is a DeepLab, and so is the saliency network, with two outputs.

Shapes: N images, C outputs, H, W image size in px, h, w logit size.
Sources: Chen et al., DeepLab v1 LargeFOV (ICLR 2015), v2 ASPP (PAMI 2017), v3 (2017), v3+ (ECCV
2018). Departures that save time on a CPU: the pyramids of v3 and v3+ have 128 channels, not 256,
and the skip connection of v3+ comes from stride 8, not 4. Another departure: v2 has the branches of
its VGG version on any trunk.
"""

from collections.abc import Callable
from functools import partial
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.core import ranks
from pipeline.core.arrays import VOID
from pipeline.core.config import Net
from pipeline.core.errors import UserError
from pipeline.nets import backbones, fully_connected
from pipeline.nets.checkpoint import Description, Spec, demand
from pipeline.nets.trunk import Trunk

KIND = "deeplab"  # value of `kind` in the description of a saved network


def _conv(channels: int, outputs: int, kernel: int, dilation: int = 1) -> nn.Sequential:
    pad = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(channels, outputs, kernel, padding=pad, dilation=dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _fc6_fc7(channels: int, dilation: int) -> nn.Sequential:
    """Build VGG's fully connected layers as convolutions: dilated 3x3 and 1x1, both 1024 wide."""
    return nn.Sequential(
        nn.Conv2d(channels, 1024, 3, padding=dilation, dilation=dilation),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.Conv2d(1024, 1024, 1),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
    )


def _score(outputs: int) -> nn.Conv2d:
    score = nn.Conv2d(1024, outputs, 1)
    nn.init.normal_(score.weight, std=0.01)
    nn.init.zeros_(score.bias)  # type: ignore[arg-type]
    return score


class LargeFov(nn.Module):
    """The head of v1: fc6 with dilation 12 at any stride, fc7, and the score layer."""

    def __init__(self, channels: dict[int, int], outputs: int) -> None:
        super().__init__()
        self.stride = max(channels)
        self.hidden = _fc6_fc7(channels[self.stride], 12)
        self.score = _score(outputs)

    def forward(self, features: dict[int, Tensor]) -> Tensor:
        """Logits at the trunk's output stride."""
        return self.score(self.hidden(features[self.stride]))


class SummedBranches(nn.Module):
    """The head of v2: the sum of four branches, each of fc6, fc7 and a score layer.

    At stride 8, the dilations of the branches are 6, 12, 18 and 24.
    """

    def __init__(self, channels: dict[int, int], outputs: int) -> None:
        super().__init__()
        self.stride = max(channels)
        rates = [r * 8 // self.stride for r in (6, 12, 18, 24)]
        self.hidden = nn.ModuleList(_fc6_fc7(channels[self.stride], r) for r in rates)
        self.score = nn.ModuleList(_score(outputs) for _ in rates)

    def forward(self, features: dict[int, Tensor]) -> Tensor:
        """Logits at the trunk's output stride."""
        x = features[self.stride]
        scores = [score(hidden(x)) for hidden, score in zip(self.hidden, self.score, strict=True)]
        return torch.stack(scores).sum(0)


class Pyramid(nn.Module):
    """The head of v3: an atrous spatial pyramid, with the image's mean as its fifth branch.

    With `skip`, the head of v3+: it joins the pyramid with the trunk's features at stride 8.
    """

    def __init__(
        self, channels: dict[int, int], outputs: int, *, skip: bool, width: int = 128
    ) -> None:
        super().__init__()
        self.deep = max(channels)
        self.stride = min(8, self.deep) if skip else self.deep
        rates = [r * 16 // self.deep for r in (6, 12, 18)]
        deep = channels[self.deep]
        self.branches = nn.ModuleList([_conv(deep, width, 1)])
        self.branches.extend(_conv(deep, width, 3, r) for r in rates)
        self.image = _conv(deep, width, 1)
        self.merge = nn.Sequential(_conv(width * 5, width, 1), nn.Dropout(0.1))
        self.skip = _conv(channels[self.stride], 48, 1) if skip else None
        self.decode = _conv(width + 48, width, 3) if skip else None
        self.score = nn.Conv2d(width, outputs, 1)

    def forward(self, features: dict[int, Tensor]) -> Tensor:
        """Logits at the trunk's output stride; with a skip connection, at stride 8 at most."""
        deep = features[self.deep]
        whole = self.image(deep.mean((2, 3), keepdim=True)).expand(-1, -1, *deep.shape[2:])
        x = self.merge(torch.cat([*(b(deep) for b in self.branches), whole], dim=1))
        if self.skip is not None and self.decode is not None:
            fine = features[self.stride]
            x = F.interpolate(x, fine.shape[2:], mode="bilinear", align_corners=False)
            x = self.decode(torch.cat([x, self.skip(fine)], dim=1))
        return self.score(x)


HEADS: dict[str, Callable[[dict[int, int], int], nn.Module]] = {
    "v1": LargeFov,
    "v2": SummedBranches,
    "v3": partial(Pyramid, skip=False),
    "v3plus": partial(Pyramid, skip=True),
}


class DeepLabDescription(Description):
    """What a saved DeepLab is rebuilt from; `head` is one of HEADS."""

    head: str


class DeepLab(nn.Module):
    """A trunk and a head. From RGB grey levels 0..255 (N, 3, H, W) to logits (N, outputs, h, w)."""

    def __init__(self, trunk: Trunk, *, head: str, outputs: int) -> None:
        super().__init__()
        self.strides = trunk.strides
        self.trunk = trunk
        self.head = HEADS[head](trunk.channels, outputs)

    @classmethod
    def from_spec(cls, spec: Spec, *, weights: str = "none") -> Self:
        """Build the network that `deeplab_spec` describes.

        Args:
            spec: the description.
            weights: the trunk's weights: imagenet, none or a path. Head v1 takes its fc6 and fc7
                from them, if the trunk is VGG-16.

        Raises:
            UserError: the description is of another kind of network, or a value is wrong.
        """
        plan = demand(spec, KIND, DeepLabDescription)
        if plan.head not in HEADS:
            known = ", ".join(HEADS)
            raise UserError(f"head '{plan.head}' is not one of {known}; train the network again")
        trunk = backbones.build(plan.backbone, output_stride=plan.output_stride, weights=weights)
        net = cls(trunk, head=plan.head, outputs=1 + len(plan.classes))
        if isinstance(net.head, LargeFov):
            fully_connected.start_from_vgg16(
                net.head.hidden, backbone=plan.backbone, weights=weights
            )
        return net

    def forward(self, image_N3HW: Tensor) -> Tensor:
        """Compute the logits of images at the head's stride."""
        return self.head(self.trunk(image_N3HW))


def deeplab_spec(net: Net, *, head: str, classes: list[str]) -> Spec:
    """Describe a DeepLab whose outputs are the background and `classes`."""
    return {
        "kind": KIND,
        "backbone": net.backbone,
        "output_stride": net.output_stride,
        "head": head,
        "classes": classes,
    }


def at_stride(logits_NChw: Tensor, label_NHW: Tensor, *, stride: int) -> tuple[Tensor, Tensor]:
    """Resize logits and labels to the size that an image has at `stride`.

    Labels are resized by nearest neighbour, logits bilinearly. For instance, 321 px become 41 at
    stride 8.

    Returns:
        Logits (N, C, h, w) in float32 and labels (N, h, w).
    """
    size = [-(-side // stride) for side in label_NHW.shape[1:]]
    label = F.interpolate(label_NHW[:, None], size, mode="nearest-exact")[:, 0].long()
    logits = logits_NChw.float()
    if logits.shape[2:] != label.shape[1:]:
        logits = F.interpolate(logits, label.shape[1:], mode="bilinear", align_corners=False)
    return logits, label


def pixel_loss(logits_NChw: Tensor, label_NHW: Tensor, *, stride: int) -> Tensor:
    """Mean cross-entropy over the pixels that are not void, at `stride`.

    At the logits' own stride, this is DeepLab v1's loss at map size. With several ranks, each
    divides its sum by the mean number of known pixels per rank. So the mean over ranks is the loss
    of the whole batch.
    """
    logits, label = at_stride(logits_NChw, label_NHW, stride=stride)
    known = ranks.mean((label != VOID).sum().float()).clamp(min=1 / ranks.world())
    return F.cross_entropy(logits, label, ignore_index=VOID, reduction="sum") / known
