"""Run a network on whole images, at several scales, with or without the mirrored image.

Shapes: N images of one size, K outputs, H, W image size in px, h, w output size.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.core import runtime
from pipeline.core.config import GRID_PX, Infer
from pipeline.inference.whole import Picture, batches, whole_batches
from pipeline.nets import alignment, rewrite

P = TypeVar("P", bound=Picture)
Forward = Callable[[Tensor, list[P]], Tensor]  # images (N, 3, H, W), their pictures -> outputs


def forward(
    compute: Forward[P],
    batch: list[P],
    views: Sequence[Tensor],
    *,
    flip: bool,
    offset_px: alignment.Offset = (0, 0),
) -> Iterator[Tensor]:
    """Yield the output (N, K, h, w) of each view in float32.

    Args:
        compute: computes the outputs. With `flip` it gets 2N images: the mirrored ones come last.
        batch: the N pictures.
        views: their images (N, 3, H, W) uint8 at each scale.
        flip: average the outputs of the image and of its mirrored image.
        offset_px: as in `Pass`. It is corrected before the outputs are averaged.
    """
    device = runtime.device()
    for view_N3HW in views:
        image = view_N3HW.to(device).contiguous(memory_format=torch.channels_last)
        images = torch.cat([image, image.flip(3)]) if flip else image
        images = alignment.move(images, offset_px)
        with runtime.autocast(device):
            output = compute(images, batch).float()
        if flip:
            plain, mirrored = output.chunk(2)
            output = (plain + mirrored.flip(3)) / 2
        yield output


def merge(outputs: Sequence[Tensor]) -> Tensor:
    """Average the outputs of all scales, resized to the largest: (N, K, h, w)."""
    size = max((o.shape[2:] for o in outputs), key=lambda s: s[0] * s[1])
    resized = [
        o if o.shape[2:] == size else F.interpolate(o, size, mode="bilinear", align_corners=False)
        for o in outputs
    ]
    return torch.stack(resized).mean(0)


def foreground(outputs: Sequence[Tensor]) -> Tensor:
    """Return the foreground probability (h, w) of one image, averaged over scales.

    `outputs` are logits (2, h, w) of background and foreground at each scale.
    """
    return merge([o[None].softmax(1) for o in outputs])[0, 1]


class Pass:
    """A network that is ready to compute its outputs of whole images.

    Args:
        net: the network.
        infer: size, scales and flip.
        compute: computes the outputs of a batch; by default, the network does.
        offset_px: the offset of the outputs from what they show, down and right, in px. The
            pictures are moved to correct it (`alignment`).
    """

    def __init__(
        self,
        net: nn.Module,
        infer: Infer,
        *,
        compute: Forward[Any] | None = None,
        offset_px: alignment.Offset = (0, 0),
    ) -> None:
        runtime.keep_memory()
        net.to(runtime.device()).to(memory_format=torch.channels_last).eval()
        self.infer, self.offset_px = infer, offset_px
        self.stride = max((GRID_PX, *getattr(net, "strides", ())))  # a map covers the whole image
        self.compute = compute or _folded(net)

    def batches(self, pictures: Sequence[P], *, done: Container[str] = ()) -> list[list[P]]:
        """Divide pictures into the batches that the network computes.

        A batch is left out only if all its ids are `done`: a network rounds differently in a
        smaller batch, so batches must not change.
        """
        return batches(pictures, self.infer, stride=self.stride, done=done)

    def __call__(self, pictures: Sequence[P]) -> Iterator[tuple[P, list[Tensor]]]:
        """Yield each picture with the output (K, h, w) at every scale, on the CPU.

        The pictures of one or more whole batches, in their order, are computed in these batches.
        """
        _, views = whole_batches(pictures, self.infer, stride=self.stride)
        return _outputs(self.compute, views, flip=self.infer.flip, offset_px=self.offset_px)


def run(
    net: nn.Module,
    pictures: Sequence[P],
    infer: Infer,
    *,
    title: str,
    done: Container[str] = (),
    offset_px: alignment.Offset = (0, 0),
) -> Iterator[tuple[P, list[Tensor]]]:
    """Yield each picture with the output (K, h, w) of the network at every scale, with progress.

    Args:
        net: the network.
        pictures: the images.
        infer: size, scales and flip.
        title: the title of the progress bar.
        done: ids of pictures whose results exist; see `Pass.batches`.
        offset_px: as in `Pass`.
    """
    whole = Pass(net, infer, offset_px=offset_px)
    left = [picture for batch in whole.batches(pictures, done=done) for picture in batch]
    return runtime.track(whole(left), total=len(left), title=title)


def _folded(net: nn.Module) -> Forward[Any]:
    folded = rewrite.fold(net).to(memory_format=torch.channels_last)
    return lambda image, _: folded(image)


@torch.inference_mode()
def _outputs(
    compute: Forward[P],
    batches: Iterable[tuple[list[P], list[Tensor]]],
    *,
    flip: bool,
    offset_px: alignment.Offset,
) -> Iterator[tuple[P, list[Tensor]]]:
    for batch, views in batches:
        views_done = forward(compute, batch, views, flip=flip, offset_px=offset_px)
        outputs = [o.cpu() for o in views_done]
        for i, picture in enumerate(batch):
            yield picture, [o[i] for o in outputs]
