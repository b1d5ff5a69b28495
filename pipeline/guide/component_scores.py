"""What guide rule G1 reads: the classifier's scores of one saliency component at a time.

Shapes: N images, R saliency components of one image, K classes, H, W image size in px, h, w size
of the network's input.
Source: G1 of Oh et al., CVPR 2017, as recalled by two readers; neither that part of the paper nor
code of it is at hand. Two things are not known, and are our choice. A score is a logit, not a
probability. "Zeroed" means 0 in the network's normalised input, which is the mean colour of the
trunk's training images: Caffe subtracts the mean, so a 0 means the same there.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.core.arrays import Int

BATCH = 8  # components that are scored together


def score_changes(
    scores: Callable[[Tensor], Tensor],
    image_3hw: Tensor,
    region_ids_HW: Int,
    *,
    mean_1311: Tensor,
) -> Tensor:
    """Compute how much each score changes when everything outside one component is zeroed.

    Args:
        scores: computes the logits (N, K) of images (N, 3, h, w).
        image_3hw: the image as grey levels 0..255.
        region_ids_HW: the saliency components at image size, numbered from 1.
        mean_1311: the grey levels that are 0 in the network's input.

    Returns:
        score(component alone) - score(whole image), (R, K). Above 0, the component alone speaks
        more for the class than the whole image does.
    """
    device, count = image_3hw.device, int(region_ids_HW.max(initial=0))
    ids_11HW = torch.as_tensor(region_ids_HW, dtype=torch.float32, device=device)[None, None]
    ids_11hw = F.interpolate(ids_11HW, image_3hw.shape[1:], mode="nearest-exact")
    whole_1K = scores(image_3hw[None])
    alone = [whole_1K[:0]]
    for first in range(1, count + 1, BATCH):
        numbers = torch.arange(first, min(first + BATCH, count + 1), device=device)
        inside = ids_11hw == numbers.view(-1, 1, 1, 1)
        alone.append(scores(torch.where(inside, image_3hw[None].float(), mean_1311)))
    return torch.cat(alone) - whole_1K
