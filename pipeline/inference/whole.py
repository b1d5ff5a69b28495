"""Load whole images for inference, in batches of one size.

Shapes: N batch, H, W size in px.
"""

import math
from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pipeline.core import formats, runtime
from pipeline.core.config import Infer
from pipeline.inference.sizes import Size, base_size, views

INFER_BATCH = 8


class Picture(Protocol):
    """What inference must know about an image: a `Photo`, or a `Sample` of a data set."""

    @property
    def id(self) -> str:
        """The name of the image and of its results."""

    @property
    def image(self) -> Path:
        """The image file."""

    @property
    def height_px(self) -> int:
        """The height of the upright image."""

    @property
    def width_px(self) -> int:
        """The width of the upright image."""


P = TypeVar("P", bound=Picture)


def _size(picture: Picture, infer: Infer, *, stride: int) -> Size:
    """Return the size at scale 1 of one picture."""
    return base_size(picture.height_px, picture.width_px, size_px=infer.size_px, stride=stride)


@dataclass(frozen=True)
class WholeImages(Dataset[list[Tensor]]):
    """Each item is one image (3, H, W) at every scale; `sizes[i]` is its size at scale 1."""

    pictures: Sequence[Picture]
    sizes: Sequence[Size]
    scales: Sequence[float]
    stride: int

    def __getitem__(self, i: int) -> list[Tensor]:
        least_px = math.ceil(max(self.sizes[i]) * max(self.scales)) + self.stride
        image = formats.read_image(self.pictures[i].image, least_px=least_px)
        resized = views(image, self.sizes[i], self.scales, stride=self.stride)
        return [torch.from_numpy(view.transpose(2, 0, 1)) for view in resized]


def batches(
    pictures: Sequence[P], infer: Infer, *, stride: int, done: Container[str] = ()
) -> list[list[P]]:
    """Group pictures of one size into batches. A batch is left out if all its ids are `done`."""
    by_size: dict[Size, list[P]] = defaultdict(list)
    for picture in pictures:
        by_size[_size(picture, infer, stride=stride)].append(picture)
    groups = [
        g[k : k + INFER_BATCH] for g in by_size.values() for k in range(0, len(g), INFER_BATCH)
    ]
    return [group for group in groups if any(p.id not in done for p in group)]


def whole_batches(
    pictures: Sequence[P], infer: Infer, *, stride: int
) -> tuple[int, Iterator[tuple[list[P], list[Tensor]]]]:
    """Load images in batches of one size, without padding.

    Each side is rounded to a multiple of `stride`, so that a map covers the whole image.

    Returns:
        The number of images, and an iterator over batches: pictures, and their images
        (N, 3, H, W) uint8 at each scale.
    """
    groups = batches(pictures, infer, stride=stride)
    ordered, numbers = [picture for group in groups for picture in group], count()
    sizes = [_size(picture, infer, stride=stride) for picture in ordered]
    loader = DataLoader(
        WholeImages(ordered, sizes, infer.scales, stride),
        batch_sampler=[[next(numbers) for _ in group] for group in groups],
        num_workers=min(runtime.loader_processes(), math.ceil(len(groups) / 2)),
        worker_init_fn=runtime.one_thread,
    )
    return len(ordered), zip(groups, loader, strict=True)
