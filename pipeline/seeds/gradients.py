"""Class maps from gradients: other kinds of seeds from the same classifier.

Shapes: N images, K classes, C channels, H, W image size in px, h, w map size.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.seeds.classifier import Classifier

Tags = Sequence[Sequence[int]]  # the tags of each image, as class indices from 0
GRADIENT_STRIDE = 4  # pixel gradients are stored as means over 4x4 px


def _score_gradients(
    logits_NK: Tensor, inputs: Tensor, tags: Tags
) -> Iterator[tuple[list[int], list[int], Tensor]]:
    """Compute the gradient of each tag's score with respect to `inputs`.

    One backward pass computes the gradients of one tag for every image that has so many tags.

    Yields:
        The indices of these images, the tag of each, and the gradients of these scores.
    """
    for number in range(max(map(len, tags), default=0)):
        images = [i for i, image_tags in enumerate(tags) if len(image_tags) > number]
        classes = [tags[i][number] for i in images]
        (slope,) = torch.autograd.grad(logits_NK[images, classes].sum(), inputs, retain_graph=True)
        yield images, classes, slope[images]


def gradient(net: Classifier, image_N3HW: Tensor, tags: Tags) -> Tensor:
    """Compute the largest absolute gradient of each score over the colour channels.

    Returns:
        Maps (N, K, H/4, W/4); 0 for classes that are not tags of the image.

    Source: Simonyan, Vedaldi & Zisserman, 2014, section 3.
    """
    image = image_N3HW.float().clone().requires_grad_()
    logits = net.scores(image).float()
    out = logits.new_zeros(len(image), logits.shape[1], *image.shape[2:])
    for images, classes, slope in _score_gradients(logits, image, tags):
        out[images, classes] = slope.abs().amax(1)
    return F.avg_pool2d(out, GRADIENT_STRIDE)


def guided_gradient(net: Classifier, image_N3HW: Tensor, tags: Tags) -> Tensor:
    """Compute `gradient` by guided backpropagation: no negative gradient passes a ReLU.

    Source: Springenberg et al., 2015.
    """
    with _guided(net):
        return gradient(net, image_N3HW, tags)


def grad_cam(net: Classifier, image_N3HW: Tensor, tags: Tags) -> Tensor:
    """Weight the features by their mean gradient, sum them, and set negative values to 0.

    With gap pooling, this is the positive part of the class map up to a factor.

    Returns:
        Maps (N, K, h, w); 0 for classes that are not tags of the image.

    Source: Selvaraju et al., ICCV 2017.
    """
    features = net.features(image_N3HW).detach().float().requires_grad_()
    logits = net.logits(net.class_maps(features), image_N3HW).float()
    out = logits.new_zeros(len(features), logits.shape[1], *features.shape[2:])
    for images, classes, slope in _score_gradients(logits, features, tags):
        weight = slope.mean((2, 3), keepdim=True)
        out[images, classes] = (weight * features[images]).sum(1).relu()
    return out.detach()


@contextmanager
def _guided(net: nn.Module) -> Iterator[None]:
    """While this is open, set negative gradients at the output of every ReLU to 0."""

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


KINDS: dict[str, Callable[[Classifier, Tensor, Tags], Tensor]] = {
    "gradient": gradient,
    "guided_gradient": guided_gradient,
    "grad_cam": grad_cam,
}
