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
TINY = 1e-30  # below any gradient; a map of zeros stays one


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

    Each map is divided by its mean. The gradient of a mean over n positions is proportional to 1/n,
    so without this a small scale would outweigh a large one when the scales are merged.

    Returns:
        Maps (N, K, H/4, W/4) with mean 1; 0 for classes that are not tags of the image.

    Source: Simonyan, Vedaldi & Zisserman, 2014, section 3, without the division.
    """
    image = image_N3HW.float().clone().requires_grad_()
    logits = net.scores(image).float()
    out = logits.new_zeros(len(image), logits.shape[1], *image.shape[2:])
    for images, classes, slope in _score_gradients(logits, image, tags):
        strength = slope.abs().amax(1)
        out[images, classes] = strength / strength.mean((1, 2), keepdim=True).clamp(min=TINY)
    return F.avg_pool2d(out, GRADIENT_STRIDE)


def guided_gradient(net: Classifier, image_N3HW: Tensor, tags: Tags) -> Tensor:
    """Compute `gradient` by guided backpropagation: no negative gradient passes a ReLU.

    Source: Springenberg et al., 2015.
    """
    with _guided(net):
        return gradient(net, image_N3HW, tags)


def grad_cam(net: Classifier, image_N3HW: Tensor, tags: Tags) -> Tensor:
    """Weight the features by the sum of their gradients over all positions, and add them up.

    With gap pooling this is the class map, at every scale. Departures from the source: it takes the
    mean of the gradients, which makes a map smaller the larger the image is. And it sets negative
    values to 0, which the stage does after it has averaged the mirrored images, as for class maps.

    Returns:
        Maps (N, K, h, w) of any sign; 0 for classes that are not tags of the image.

    Source: Selvaraju et al., ICCV 2017, equations 1 and 2.
    """
    features = net.features(image_N3HW).detach().float().requires_grad_()
    logits = net.logits(net.class_maps(features), image_N3HW).float()
    out = logits.new_zeros(len(features), logits.shape[1], *features.shape[2:])
    for images, classes, slope in _score_gradients(logits, features, tags):
        weight = slope.sum((2, 3), keepdim=True)
        out[images, classes] = (weight * features[images]).sum(1)
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


AT_NETWORK_STRIDE = ("grad_cam",)  # the other maps lie on the image's own pixels
KINDS: dict[str, Callable[[Classifier, Tensor, Tags], Tensor]] = {
    "gradient": gradient,
    "guided_gradient": guided_gradient,
    "grad_cam": grad_cam,
}
