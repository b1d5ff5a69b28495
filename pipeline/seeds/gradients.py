"""Class maps out of gradients: other kinds of seeds from the same classifier.

Shapes: N images, K classes, C channels, H, W image size in px, h, w map size.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.seeds.classifier import Classifier

Wanted = Sequence[Sequence[int]]  # for each image its classes, indices from 0
GRADIENT_STRIDE = 4  # pixel gradients are stored as means over 4x4 px


def _slopes(
    logits_NK: Tensor, of: Tensor, wanted: Wanted
) -> Iterator[tuple[list[int], list[int], Tensor]]:
    """(Images, a wanted class of each, its score's gradients): one backward pass a turn."""
    for turn in range(max(map(len, wanted), default=0)):
        images = [i for i, classes in enumerate(wanted) if len(classes) > turn]
        classes = [wanted[i][turn] for i in images]
        (slope,) = torch.autograd.grad(logits_NK[images, classes].sum(), of, retain_graph=True)
        yield images, classes, slope[images]


def gradient(net: Classifier, image_N3HW: Tensor, wanted: Wanted) -> Tensor:
    """Largest absolute gradient of a score over the colour channels (N, K, H/4, W/4).

    Classes that are not `wanted` of an image stay 0 there.

    Source: Simonyan, Vedaldi & Zisserman, 2014, section 3.
    """
    image = image_N3HW.float().clone().requires_grad_()
    logits = net.scores(image).float()
    out = logits.new_zeros(len(image), logits.shape[1], *image.shape[2:])
    for images, classes, slope in _slopes(logits, image, wanted):
        out[images, classes] = slope.abs().amax(1)
    return F.avg_pool2d(out, GRADIENT_STRIDE)


def guided_gradient(net: Classifier, image_N3HW: Tensor, wanted: Wanted) -> Tensor:
    """As `gradient`, by guided backpropagation: no negative gradient passes a ReLU.

    Source: Springenberg et al., 2015.
    """
    with _guided(net):
        return gradient(net, image_N3HW, wanted)


def grad_cam(net: Classifier, image_N3HW: Tensor, wanted: Wanted) -> Tensor:
    """Features weighted by their mean gradient, negative parts cut off: (N, K, h, w).

    With gap pooling this is the class map, up to a factor. Source: Selvaraju et al., ICCV 2017.
    """
    features = net.features(image_N3HW).detach().float().requires_grad_()
    logits = net.logits(net.class_maps(features), image_N3HW).float()
    out = logits.new_zeros(len(features), logits.shape[1], *features.shape[2:])
    for images, classes, slope in _slopes(logits, features, wanted):
        weight = slope.mean((2, 3), keepdim=True)
        out[images, classes] = (weight * features[images]).sum(1).relu()
    return out.detach()


@contextmanager
def _guided(net: nn.Module) -> Iterator[None]:
    """Clamp the gradient at the output of every rectifier."""

    def clamp(module: nn.Module, inputs: object, output: Tensor) -> None:
        if output.requires_grad:
            output.register_hook(lambda slope: slope.clamp(min=0))  # type: ignore[no-untyped-call]

    hooks = [
        m.register_forward_hook(clamp) for m in net.modules() if isinstance(m, nn.ReLU | nn.ReLU6)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


KINDS: dict[str, Callable[[Classifier, Tensor, Wanted], Tensor]] = {
    "gradient": gradient,
    "guided_gradient": guided_gradient,
    "grad_cam": grad_cam,
}
