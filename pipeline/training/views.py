"""Random views of the training images, in batches.

Shapes: N batch, S side of a view in px, K classes.
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

Target = Tensor | Sequence[Tensor]  # label, tags, or both


@dataclass(frozen=True)
class Views(Dataset[tuple[Tensor, Target]]):
    """Random views of images, each with its target.

    Targets are tag vectors (K,) or paths of label images. If `tags` is given too, the target of a
    view is the pair (label, tags).

    Keys are (epoch, i). A view depends only on the seed, the epoch and i. It does not depend on
    the process that makes it, or on the views before it.
    """

    images: Sequence[Path]
    targets: Sequence[Path] | Sequence[np.ndarray[Any, Any]]
    train: Train
    seed: int
    probabilities: Sequence[float] | None = None  # to draw each image; None: draw each once
    tags: Sequence[np.ndarray[Any, Any]] | None = None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def _least_px(self) -> int:
        """Return the longest side that an image can have in a view."""
        return math.ceil(max(self.train.scale) * self.train.size_px)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Target]:
        epoch, i = key
        rng = np.random.default_rng([self.seed, epoch, i])
        source = self.targets[i]
        label = formats.read_label(source) if isinstance(source, Path) else None
        image, label = random_view(
            formats.read_image(self.images[i], least_px=self._least_px),
            label,
            size_px=self.train.size_px,
            scale=self.train.scale,
            jitter=self.train.jitter,
            rng=rng,
        )
        image_3SS = torch.from_numpy(image.transpose(2, 0, 1))
        target = torch.from_numpy(source if label is None else label)
        return image_3SS, target if self.tags is None else (target, torch.from_numpy(self.tags[i]))


def tag_vectors(
    samples: Sequence[Sample], classes: Sequence[str]
) -> list[np.ndarray[Any, np.dtype[np.float32]]]:
    """Return a vector (K,) for each sample: 1 for its tags, 0 for other classes."""
    return [np.array([c in s.tags for c in classes], np.float32) for s in samples]


def balanced(tags: Sequence[np.ndarray[Any, Any]]) -> list[float]:
    """Return probabilities to draw images, so that images of a rare class are drawn more often.

    The probability of an image is proportional to 1 / (number of images with its rarest tag).
    An image without tags gets the smallest of these probabilities.

    Args:
        tags: tag vector (K,) of each image.
    """
    tags_NK = np.stack(tags).astype(float)
    rarity = (tags_NK / np.maximum(tags_NK.sum(0), 1)).max(1)
    rarity = np.where(rarity > 0, rarity, rarity[rarity > 0].min(initial=1.0))
    return (rarity / rarity.sum()).tolist()


def fixed(views: Views) -> Views:
    """Return views for validation: at scale 1, where an image is whole, and without jitter."""
    train = views.train.model_copy(update={"scale": (1.0, 1.0), "jitter": 0.0})
    return replace(views, train=train)


def epoch_keys(views: Views, *, batch: int, epoch: int) -> list[list[tuple[int, int]]]:
    """Shuffle the images of one epoch into full batches; return this rank's share of each as keys.

    Images that do not fill a batch are left out.
    """
    rng, count = np.random.default_rng([views.seed, epoch]), len(views)
    if views.probabilities is None:
        order = rng.permutation(count).tolist()
    else:
        order = rng.choice(count, count, p=views.probabilities).tolist()
    starts = range(0, len(order) - batch + 1, batch)
    return [[(epoch, i) for i in ranks.mine(order[s : s + batch])] for s in starts]


def fixed_keys(views: Views, *, batch: int) -> list[list[tuple[int, int]]]:
    """Put all images in batches, in order; return this rank's share of each as keys.

    The last images are left out if the ranks could not share them equally.
    """
    count = len(views) - len(views) % ranks.world()
    starts = range(0, count, batch)
    return [[(0, i) for i in ranks.mine(range(s, min(s + batch, count)))] for s in starts]


def batches_of(views: Views, keys: list[list[tuple[int, int]]]) -> Iterator[tuple[Tensor, Target]]:
    """Yield batches of views (N, 3, S, S) uint8 with their targets, in the order of `keys`."""
    yield from DataLoader(
        views,
        batch_sampler=keys,
        num_workers=runtime.loader_processes(),
        worker_init_fn=runtime.one_thread,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # or the loader would draw from the one that `fit` seeds
    )
