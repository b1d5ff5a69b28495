"""Images from files into batches: random views for training, whole images for inference.

Shapes: N batch, S crop side, H, W size in px.
"""

import math
from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pipeline import formats, ranks, runtime
from pipeline.augment import random_view
from pipeline.blocks import Infer, Train
from pipeline.formats import Sample

INFER_BATCH = 8
Target = Tensor | Sequence[Tensor]  # label or tags, or both


def _processes() -> int:
    """Loader processes; none on two cores, where the network waits for what they take from it."""
    few = runtime.workers() <= 2 and not torch.cuda.is_available()
    return 0 if few else max(1, runtime.workers() // 2)


def _one_thread(_: int) -> None:
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


@dataclass(frozen=True)
class Views(Dataset[tuple[Tensor, Target]]):
    """Random views; `targets` are tag vectors (K,) or paths of label images.

    With `tags` beside label images a view's target is the pair (label, tags).

    An index is (epoch, i): the view depends on the seed, the epoch and i alone, not on the worker
    that makes it nor on what came before.
    """

    images: Sequence[Path]
    targets: Sequence[Path] | Sequence[np.ndarray[Any, Any]]
    train: Train
    seed: int
    chance: Sequence[float] | None = None  # of each image to be drawn; None: each once
    tags: Sequence[np.ndarray[Any, Any]] | None = None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def _least_px(self) -> int:
        """No view shows an image at a longer side."""
        return math.ceil(max(self.train.scale) * self.train.size_px)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Target]:
        epoch, i = key
        rng = np.random.default_rng([self.seed, epoch, i])
        target = self.targets[i]
        label = formats.read_label(target) if isinstance(target, Path) else None
        image, label = random_view(
            formats.read_image(self.images[i], least_px=self._least_px),
            label,
            size_px=self.train.size_px,
            scale=self.train.scale,
            jitter=self.train.jitter,
            rng=rng,
        )
        image_3SS = torch.from_numpy(image.transpose(2, 0, 1))
        found = torch.from_numpy(target if label is None else label)
        return image_3SS, found if self.tags is None else (found, torch.from_numpy(self.tags[i]))


def tag_vectors(
    samples: Sequence[Sample], classes: Sequence[str]
) -> list[np.ndarray[Any, np.dtype[np.float32]]]:
    """For each sample a vector (K,): 1 for its tags, 0 for other classes."""
    return [np.array([c in s.tags for c in classes], np.float32) for s in samples]


def balanced(tags: Sequence[np.ndarray[Any, Any]]) -> list[float]:
    """Chances (N,) that give rare classes their share: an image counts by its rarest tag (K,)."""
    known = np.stack(tags).astype(float)
    rarity = (known / np.maximum(known.sum(0), 1)).max(1)
    rarity = np.where(rarity > 0, rarity, rarity[rarity > 0].min(initial=1.0))
    return (rarity / rarity.sum()).tolist()


def epoch_batches(views: Views, *, batch: int, epoch: int) -> list[list[tuple[int, int]]]:
    """The shuffled full batches of one epoch, of each this rank's share, as keys into `views`."""
    rng, count = np.random.default_rng([views.seed, epoch]), len(views)
    if views.chance is None:
        order = rng.permutation(count).tolist()
    else:
        order = rng.choice(count, count, p=views.chance).tolist()
    full = range(0, len(order) - batch + 1, batch)
    return [[(epoch, i) for i in ranks.mine(order[start : start + batch])] for start in full]


def train_batches(
    views: Views, keys: list[list[tuple[int, int]]]
) -> Iterator[tuple[Tensor, Target]]:
    """Batches (N, 3, S, S) uint8 with targets, in the order of `keys`."""
    yield from DataLoader(
        views,
        batch_sampler=keys,
        num_workers=_processes(),
        worker_init_fn=_one_thread,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # of its own: the epoch's seed stays untouched
    )


def target_size(height_px: int, width_px: int, *, long_px: int, stride: int) -> tuple[int, int]:
    """The image's size scaled to a long side of `long_px`, each side a multiple of `stride`."""
    factor = long_px / max(height_px, width_px)
    return tuple(  # type: ignore[return-value]
        max(stride, stride * round(side * factor / stride)) for side in (height_px, width_px)
    )


@dataclass(frozen=True)
class Whole(Dataset[list[Tensor]]):
    """Whole images, resized for each scale; `sizes[i]` is the size at scale 1."""

    samples: Sequence[Sample]
    sizes: Sequence[tuple[int, int]]
    scales: Sequence[float]
    stride: int

    def __getitem__(self, i: int) -> list[Tensor]:
        least_px = math.ceil(max(self.sizes[i]) * max(self.scales)) + self.stride
        image = formats.read_image(self.samples[i].image, least_px=least_px)
        views = []
        for scale in self.scales:
            long_px = round(max(self.sizes[i]) * scale)
            height, width = target_size(*self.sizes[i], long_px=long_px, stride=self.stride)
            how = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_LINEAR
            view = cv2.resize(image, (width, height), interpolation=how)
            views.append(torch.from_numpy(view.transpose(2, 0, 1)))
        return views


def whole_batches(
    samples: Sequence[Sample], infer: Infer, *, stride: int, done: Container[str] = ()
) -> tuple[int, Iterator[tuple[list[Sample], list[Tensor]]]]:
    """This rank's images, those of equal size together: (samples, (N, 3, H, W) uint8 a scale).

    No padding: each side is rounded to the stride, so a map covers its image exactly. Batches all
    of whose ids are `done` are left out.

    Returns:
        How many images will come, and the batches.
    """
    sizes = [
        target_size(s.height_px, s.width_px, long_px=infer.size_px, stride=stride) for s in samples
    ]
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for i, size in enumerate(sizes):
        groups[size].append(i)
    whole = [g[k : k + INFER_BATCH] for g in groups.values() for k in range(0, len(g), INFER_BATCH)]
    left = ranks.mine(whole)
    batches = [batch for batch in left if any(samples[i].id not in done for i in batch)]
    loader = DataLoader(
        Whole(samples, sizes, infer.scales, stride),
        batch_sampler=batches,
        num_workers=min(_processes(), math.ceil(len(batches) / 2)),
        worker_init_fn=_one_thread,
    )
    found = zip(batches, loader, strict=True)
    return sum(map(len, batches)), (([samples[i] for i in batch], views) for batch, views in found)
