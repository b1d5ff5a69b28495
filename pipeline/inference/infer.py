"""Test-time inference at several scales, with or without the mirror image.

Shapes: N images of one size, K outputs, H, W size in px, h, w output size at scale 1.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.core import runtime
from pipeline.core.config import Infer
from pipeline.inference.whole import Picture, whole_batches
from pipeline.nets import rewrite

P = TypeVar("P", bound=Picture)
Forward = Callable[[Tensor, list[P]], Tensor]  # a batch (N, 3, H, W) and its pictures -> outputs


def forward(
    compute: Forward[P], batch: list[P], views: Sequence[Tensor], *, flip: bool
) -> Iterator[Tensor]:
    """The output for each view, float32; with `flip` the mean of the image and its mirror."""
    device = runtime.device()
    for view_N3HW in views:
        image = view_N3HW.to(device).contiguous(memory_format=torch.channels_last)
        both = torch.cat([image, image.flip(3)]) if flip else image
        with runtime.autocast(device):
            output = compute(both, batch).float()
        if flip:
            plain, mirrored = output.chunk(2)
            output = (plain + mirrored.flip(3)) / 2
        yield output


def merge(outputs: Sequence[Tensor]) -> Tensor:
    """Mean over scales at the size of the finest: (N, K, h, w)."""
    size = max((o.shape[2:] for o in outputs), key=lambda s: s[0] * s[1])
    resized = [
        o if o.shape[2:] == size else F.interpolate(o, size, mode="bilinear", align_corners=False)
        for o in outputs
    ]
    return torch.stack(resized).mean(0)


def foreground(outputs: Sequence[Tensor]) -> Tensor:
    """The probability (h, w) of one image's second class, mean over scales, from logits."""
    return merge([o[None].softmax(1) for o in outputs])[0, 1]


def run(
    net: nn.Module,
    pictures: Sequence[P],
    infer: Infer,
    *,
    what: str,
    done: Container[str] = (),
    compute: Forward[P] | None = None,
) -> Iterator[tuple[P, list[Tensor]]]:
    """Yield each picture with the net's output (K, h, w) at every scale, on the CPU.

    Args:
        net: the network.
        pictures: the images.
        infer: size, scales, flip.
        what: the name that progress lines carry.
        done: ids that need not come again. Batches stay as they are, because a sum in another
            order rounds differently: an id comes again with others of its batch.
        compute: makes the outputs of a batch; the net by default.
    """
    runtime.keep_memory()
    net.to(runtime.device()).to(memory_format=torch.channels_last).eval()
    stride = max((16, *getattr(net, "strides", ())))  # so that a map covers its image exactly
    count, batches = whole_batches(pictures, infer, stride=stride, done=done)
    outputs = _each(compute or _folded(net), batches, flip=infer.flip)
    return runtime.track(outputs, total=count, what=what)


def _folded(net: nn.Module) -> Callable[[Tensor, list[P]], Tensor]:
    folded = rewrite.fold(net).to(memory_format=torch.channels_last)
    return lambda image, _: folded(image)


@torch.inference_mode()
def _each(
    compute: Forward[P], batches: Iterable[tuple[list[P], list[Tensor]]], *, flip: bool
) -> Iterator[tuple[P, list[Tensor]]]:
    for batch, views in batches:
        outputs = [o.cpu() for o in forward(compute, batch, views, flip=flip)]
        for i, picture in enumerate(batch):
            yield picture, [o[i] for o in outputs]
