"""Test-time inference at several scales, with or without flip.

Shapes: N images of one size, K outputs, H, W size in px, h, w output size at scale 1.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline import faster, runtime
from pipeline.blocks import Infer
from pipeline.formats import Sample
from pipeline.loader import whole_batches

Of = Callable[[Tensor, list[Sample]], Tensor]


def forward(
    of: Of, batch: list[Sample], views: Sequence[Tensor], *, flip: bool
) -> Iterator[Tensor]:
    """The output for each view, float32; with `flip` the mean of the image and its mirror."""
    on = runtime.device()
    for view_N3HW in views:
        image = view_N3HW.to(on).contiguous(memory_format=torch.channels_last)
        both = torch.cat([image, image.flip(3)]) if flip else image
        with runtime.autocast(on):
            out = of(both, batch).float()
        if flip:
            plain, mirrored = out.chunk(2)
            out = (plain + mirrored.flip(3)) / 2
        yield out


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
    samples: Sequence[Sample],
    infer: Infer,
    *,
    what: str,
    done: Container[str] = (),
    of: Of | None = None,
) -> Iterator[tuple[Sample, list[Tensor]]]:
    """For each sample the net's output (K, h, w) at every scale, on the CPU.

    Args:
        net: the network.
        samples: the images.
        infer: size, scales, flip.
        what: the name that progress lines carry.
        done: ids that need not come again; batches stay as they are, since a sum in another order
            rounds otherwise, so an id comes again with others of its batch.
        of: makes the output out of a batch (N, 3, H, W) and its samples; by default the net's.
    """
    runtime.keep_memory()
    net.to(runtime.device()).to(memory_format=torch.channels_last).eval()
    stride = max((16, *getattr(net, "strides", ())))  # a map then covers its image exactly
    todo, batches = whole_batches(samples, infer, stride=stride, done=done)
    found = _each(of or _folded(net), batches, flip=infer.flip)
    return runtime.track(found, total=todo, what=what)


def _folded(net: nn.Module) -> Of:
    folded = faster.fold(net).to(memory_format=torch.channels_last)
    return lambda image, _: folded(image)


@torch.inference_mode()
def _each(
    of: Of, batches: Iterable[tuple[list[Sample], list[Tensor]]], *, flip: bool
) -> Iterator[tuple[Sample, list[Tensor]]]:
    for batch, views in batches:
        outputs = [o.cpu() for o in forward(of, batch, views, flip=flip)]
        for i, sample in enumerate(batch):
            yield sample, [o[i] for o in outputs]
