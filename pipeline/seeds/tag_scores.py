"""The classifier's probability of every class, from its class maps.

Shapes: K classes, H, W image size in px, h, w map size.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.core.arrays import UInt8
from pipeline.seeds.classifier import Classifier


def tag_probability(
    net: Classifier, class_maps: Sequence[Tensor], scales: Sequence[float], image_HW3: UInt8
) -> Tensor:
    """Compute the probability (K,) of every class from the class maps at scale 1 and above.

    Smaller scales are left out, because training with any of our presets shows the net no object
    shrunk so far. If all scales are smaller, all of them count. The rule was chosen after scores on
    val were known (docs/results.md).

    Args:
        net: the classifier, whose pooling turns maps into scores.
        class_maps: maps (K, h, w) of one image at each scale, before any ReLU.
        scales: the scale of each of them.
        image_HW3: the image. Only a classifier with superpixels uses it.
    """
    large = [m for m, scale in zip(class_maps, scales, strict=True) if scale >= 1] or class_maps
    image = torch.from_numpy(image_HW3.transpose(2, 0, 1).copy())[None]
    return torch.stack([net.logits(m[None], image)[0] for m in large]).mean(0).sigmoid()
