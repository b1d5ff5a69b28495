"""The folder of a trained segmenter, run by torch. `OnnxSegmenter` is its counterpart.

Shapes: H, W image size in px, K classes with the background, h, w logit size.
"""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, Self, TypeVar

import torch
from torch import Tensor, nn

from pipeline.core import runtime
from pipeline.core.arrays import Float, UInt8
from pipeline.core.config import GRID_PX, Infer
from pipeline.inference import infer
from pipeline.inference.sizes import base_size, views
from pipeline.inference.whole import Picture
from pipeline.nets import checkpoint, rewrite
from pipeline.segment.deeplab import DeepLab

P = TypeVar("P", bound=Picture)


@dataclass(frozen=True)
class TorchSegmenter:
    """A trained segmenter.

    `classes` starts with the background. `size_px`, `scales` and `flip` are those of `Infer`.
    """

    classes: tuple[str, ...]
    size_px: int | Literal["native"]
    scales: tuple[float, ...]
    flip: bool
    net: DeepLab

    @classmethod
    def load(cls, folder: Path, options: Infer) -> Self:
        """Read the network that `train_segment` wrote.

        Raises:
            UserError: no segmenter was trained, or the model is damaged or of another kind.
        """
        net, spec = checkpoint.load(folder, DeepLab.from_spec)
        classes = ("background", *spec["classes"])
        return cls(classes, options.size_px, tuple(options.scales), options.flip, net)

    @property
    def grid_px(self) -> int:
        """What each side of the network's input is a multiple of."""
        return max((GRID_PX, *self.net.strides))

    def logits(self, image_HW3: UInt8) -> Float:
        """Compute the logits (K, h, w) float32 of an upright RGB image, at network stride."""
        size = base_size(*image_HW3.shape[:2], size_px=self.size_px, stride=self.grid_px)
        images = [
            torch.from_numpy(view.transpose(2, 0, 1))[None]
            for view in views(image_HW3, size, self.scales, stride=self.grid_px)
        ]
        with torch.inference_mode():
            batch: list[Picture] = []  # the network asks for nothing but the images
            outputs = infer.forward(self._compute, batch, images, flip=self.flip)
            return infer.merge([output.cpu() for output in outputs])[0].numpy()

    def run(self, pictures: Sequence[P], *, done: Container[str]) -> Iterator[tuple[P, Float]]:
        """Yield each picture with its logits, in batches. Batches of `done` are left out."""
        options = Infer(size_px=self.size_px, scales=self.scales, flip=self.flip)
        for picture, outputs in infer.run(self.net, pictures, options, title="predict", done=done):
            yield picture, infer.merge([scale[None] for scale in outputs])[0].numpy()

    def _compute(self, images: Tensor, _: Sequence[Picture]) -> Tensor:
        return self._folded(images)

    @cached_property
    def _folded(self) -> nn.Module:
        self.net.to(runtime.device()).eval()
        return rewrite.fold(self.net).to(memory_format=torch.channels_last)
