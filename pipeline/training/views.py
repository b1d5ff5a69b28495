"""Random views of the training images, in batches.

Shapes: N batch, S crop side in px, K classes.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pipeline.core import formats, ranks, runtime
from pipeline.core.config import Train
from pipeline.core.samples import Sample
from pipeline.training.augment import random_view

Target = Tensor | Sequence[Tensor]  # label or tags, or both


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


def fixed(views: Views) -> Views:
    """The same images whole and in their own colours, for validation."""
    train = views.train.model_copy(update={"scale": (1.0, 1.0), "jitter": 0.0})
    return replace(views, train=train)


def epoch_keys(views: Views, *, batch: int, epoch: int) -> list[list[tuple[int, int]]]:
    """The shuffled full batches of one epoch, of each this rank's share, as keys into `views`."""
    rng, count = np.random.default_rng([views.seed, epoch]), len(views)
    if views.chance is None:
        order = rng.permutation(count).tolist()
    else:
        order = rng.choice(count, count, p=views.chance).tolist()
    full = range(0, len(order) - batch + 1, batch)
    return [[(epoch, i) for i in ranks.mine(order[start : start + batch])] for start in full]


def fixed_keys(views: Views, *, batch: int) -> list[list[tuple[int, int]]]:
    """All images in order, of each batch this rank's share; some are left out to share equally."""
    count = len(views) - len(views) % ranks.world()
    starts = range(0, count, batch)
    return [[(0, i) for i in ranks.mine(range(s, min(s + batch, count)))] for s in starts]


def batches_of(views: Views, keys: list[list[tuple[int, int]]]) -> Iterator[tuple[Tensor, Target]]:
    """Batches (N, 3, S, S) uint8 with targets, in the order of `keys`."""
    yield from DataLoader(
        views,
        batch_sampler=keys,
        num_workers=runtime.loader_processes(),
        worker_init_fn=runtime.one_thread,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # of its own: the epoch's seed stays untouched
    )
