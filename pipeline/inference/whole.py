"""Whole images in batches of one size, for inference.

Shapes: N batch, H, W size in px.
"""

import math
from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pipeline.core import formats, ranks, runtime
from pipeline.core.config import Infer

INFER_BATCH = 8


class Picture(Protocol):
    """What inference knows of an image; `Photo`, and the samples of a data set."""

    @property
    def id(self) -> str:
        """Names the image and its results."""

    @property
    def image(self) -> Path:
        """The file."""

    @property
    def height_px(self) -> int:
        """Of the upright image."""

    @property
    def width_px(self) -> int:
        """Of the upright image."""


@dataclass(frozen=True)
class Photo:
    """An image without tags or split."""

    id: str
    image: Path
    height_px: int
    width_px: int


P = TypeVar("P", bound=Picture)


def target_size(height_px: int, width_px: int, *, long_px: int, stride: int) -> tuple[int, int]:
    """The image's size scaled to a long side of `long_px`, each side a multiple of `stride`."""
    factor = long_px / max(height_px, width_px)
    return tuple(  # type: ignore[return-value]
        max(stride, stride * round(side * factor / stride)) for side in (height_px, width_px)
    )


@dataclass(frozen=True)
class Whole(Dataset[list[Tensor]]):
    """Whole images, resized for each scale; `sizes[i]` is the size at scale 1."""

    pictures: Sequence[Picture]
    sizes: Sequence[tuple[int, int]]
    scales: Sequence[float]
    stride: int

    def __getitem__(self, i: int) -> list[Tensor]:
        least_px = math.ceil(max(self.sizes[i]) * max(self.scales)) + self.stride
        image = formats.read_image(self.pictures[i].image, least_px=least_px)
        views = []
        for scale in self.scales:
            long_px = round(max(self.sizes[i]) * scale)
            height, width = target_size(*self.sizes[i], long_px=long_px, stride=self.stride)
            shrinks = width < image.shape[1]
            interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            view = cv2.resize(image, (width, height), interpolation=interpolation)
            views.append(torch.from_numpy(view.transpose(2, 0, 1)))
        return views


def whole_batches(
    pictures: Sequence[P], infer: Infer, *, stride: int, done: Container[str] = ()
) -> tuple[int, Iterator[tuple[list[P], list[Tensor]]]]:
    """This rank's images, those of equal size together, as (N, 3, H, W) uint8 for each scale.

    No padding: each side is rounded to the stride, so a map covers its image exactly. Batches all
    of whose ids are `done` are left out.

    Returns:
        How many images will come, and the batches.
    """
    sizes = [
        target_size(p.height_px, p.width_px, long_px=infer.size_px, stride=stride) for p in pictures
    ]
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for i, size in enumerate(sizes):
        groups[size].append(i)
    whole = [g[k : k + INFER_BATCH] for g in groups.values() for k in range(0, len(g), INFER_BATCH)]
    mine = ranks.mine(whole)
    batches = [batch for batch in mine if any(pictures[i].id not in done for i in batch)]
    loader = DataLoader(
        Whole(pictures, sizes, infer.scales, stride),
        batch_sampler=batches,
        num_workers=min(runtime.loader_processes(), math.ceil(len(batches) / 2)),
        worker_init_fn=runtime.one_thread,
    )
    pairs = zip(batches, loader, strict=True)
    count = sum(map(len, batches))
    return count, (([pictures[i] for i in batch], views) for batch, views in pairs)
