"""The pretext tasks: what a network predicts from images alone, so that its trunk learns.

Shapes: N images, S side of a view in px, C channels, D width of the vectors that SimCLR compares.
Sources: rotation, Gidaris et al., ICLR 2018; SimCLR, Chen et al., ICML 2020.
Departures from SimCLR: views are scaled, cropped, flipped, and changed in brightness, contrast and
saturation, as in every training here. They keep their hue, and are neither grey nor blurred. The
optimiser is that of the params, not LARS. Several ranks do not share their negatives.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.core.config import Frozen
from pipeline.nets.trunk import Trunk
from pipeline.pretext.config import SimClr
from pipeline.training.views import Views

TURNS = 4  # by 0, 90, 180 and 270 degrees


class PretextNet(nn.Module):
    """A trunk, the mean over positions, and the head of a task, which is not kept."""

    def __init__(self, trunk: Trunk, head: nn.Module) -> None:
        super().__init__()
        self.trunk, self.head = trunk, head

    def forward(self, image_N3SS: Tensor) -> Tensor:
        """Compute the outputs of the head in float32."""
        features = self.trunk(image_N3SS)[self.trunk.strides[-1]]
        return self.head(features.mean((2, 3))).float()


class Pairs(Views):
    """Two random views of each image. The second one is the target of the first."""

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        epoch, i = key
        first, _ = super().__getitem__((2 * epoch, i))
        second, _ = super().__getitem__((2 * epoch + 1, i))
        return first, second


def turn(image_N3SS: Tensor) -> tuple[Tensor, Tensor]:
    """Turn each image by 0, 90, 180 and 270 degrees to the left.

    Returns:
        Images (4N, 3, S, S), first all that are not turned, and the quarter turns (4N,), 0 to 3.
    """
    turned = [image_N3SS.rot90(count, (2, 3)) for count in range(TURNS)]
    turns = torch.arange(TURNS, device=image_N3SS.device)
    return torch.cat(turned), turns.repeat_interleave(len(image_N3SS))


def nt_xent(first_ND: Tensor, second_ND: Tensor, *, temperature: float) -> Tensor:
    """Compute the normalised temperature-scaled cross-entropy, the mean over all 2N vectors.

    The two vectors of an image are a positive pair. All others in the batch are negatives.

    Source: equation 1 and algorithm 1 of Chen et al.
    """
    vectors = F.normalize(torch.cat([first_ND, second_ND]))
    with torch.autocast(vectors.device.type, enabled=False):  # bf16 rounds the gradient by percents
        similarity = vectors @ vectors.T / temperature
    similarity = similarity.masked_fill(
        torch.eye(len(vectors), dtype=torch.bool, device=vectors.device), -torch.inf
    )
    partner = torch.arange(len(vectors), device=vectors.device).roll(len(first_ND))
    return F.cross_entropy(similarity, partner)


def _rotation_head(channels: int, options: Frozen) -> nn.Module:
    return nn.Linear(channels, TURNS)


def _rotation_loss(net: nn.Module, image: Tensor, nothing: Tensor, options: Frozen) -> Tensor:
    turned, turns = turn(image)
    return F.cross_entropy(net(turned), turns)


def _simclr_head(channels: int, options: Frozen) -> nn.Module:
    """Build the projection head: two layers, the first as wide as the features."""
    assert isinstance(options, SimClr)
    return nn.Sequential(
        nn.Linear(channels, channels),
        nn.ReLU(inplace=True),
        nn.Linear(channels, options.outputs, bias=False),
    )


def _simclr_loss(net: nn.Module, first: Tensor, second: Tensor, options: Frozen) -> Tensor:
    assert isinstance(options, SimClr)
    vectors = net(torch.cat([first, second]))
    return nt_xent(*vectors.chunk(2), temperature=options.temperature)


@dataclass(frozen=True)
class Task:
    """Three functions: they make the views, the head (from the trunk's channels), and the loss."""

    views: Callable[..., Views]
    head: Callable[[int, Any], nn.Module]
    loss: Callable[..., Tensor]


TASKS: dict[str, Task] = {
    "rotation": Task(Views, _rotation_head, _rotation_loss),
    "simclr": Task(Pairs, _simclr_head, _simclr_loss),
}
