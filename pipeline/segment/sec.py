"""SEC's three losses: seed with cues, expand to the tags, constrain to boundaries.

Shapes: N images, K classes, C = 1 + K outputs (background first), h, w map size, p = h * w
positions, H, W size of the network's input in px.
Source: Kolesnikov & Lampert, ECCV 2016, and the authors' released layers, whose numbers are in
params.yaml. Departures:
- The decays hold for a map of 41x41, as released. On another map, they are converted so that equal
  shares of the positions weigh the same.
- The CRF's widths in px shrink by the same factor as the image. The release divides them by 12,
  although 321 / 41 is 7.8. It shrinks the image bilinearly, ours takes the mean of the pixels.
- The CRF's unary energies are -log of the probabilities with FLOOR. The release gives it the
  logits.
- The release clamps the CRF's result at FLOOR. Ours adds FLOOR and divides by the sum.
- The release warps each image to a square of 321 px and changes nothing else. Ours makes the same
  random views as every training here.
The CRF's result is a constant in the gradient, as in the authors' code since its commit 952f65a.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.core.arrays import VOID
from pipeline.crf.config import Crf
from pipeline.crf.dense import dense_crf, energy_of
from pipeline.segment.config import Sec

FLOOR = 1e-4  # as released: added to every softmax output, so that its logarithm is finite
RELEASED_POSITIONS = 41 * 41


def probabilities(logits_NChw: Tensor) -> Tensor:
    """Softmax with FLOOR added: values in (0, 1) that sum to 1 over C."""
    return _lifted(logits_NChw.float().softmax(1))


def _lifted(probability_NChw: Tensor) -> Tensor:
    """Add FLOOR and divide by the sum over C."""
    lifted = probability_NChw + FLOOR
    return lifted / lifted.sum(1, keepdim=True)


def seed_loss(probability_NChw: Tensor, cue_Nhw: Tensor) -> Tensor:
    """Mean of -log p over the cues of each image, then over images.

    Args:
        probability_NChw: the segmenter's probabilities.
        cue_Nhw: class indices, and VOID without a cue. The loss of an image without cues is 0.
    """
    known = cue_Nhw != VOID
    index = torch.where(known, cue_Nhw.long(), 0)
    cost = -probability_NChw.gather(1, index[:, None])[:, 0].log()
    return ((cost * known).sum((1, 2)) / known.sum((1, 2)).clamp(min=1)).mean()


def rank_pool(probability_NKp: Tensor, *, decay: float) -> Tensor:
    """Global weighted rank pooling (N, K): the j-th largest value has weight decay ** (j - 1).

    With decay 1 this is the mean, with decay 0 the maximum.
    """
    ranked = probability_NKp.sort(dim=-1, descending=True).values
    rank = torch.arange(ranked.shape[-1], dtype=ranked.dtype, device=ranked.device)
    weight = decay**rank
    return (ranked * weight).sum(-1) / weight.sum()


def expansion_loss(
    probability_NChw: Tensor, tags_NK: Tensor, *, decay_tags: float, decay_background: float
) -> Tensor:
    """Cross-entropy of pooled probabilities: tags and background present, other classes absent.

    Args:
        probability_NChw: the segmenter's probabilities.
        tags_NK: 1 for the image's tags, 0 for other classes. Other classes are pooled by their
            maximum.
        decay_tags: decay of the rank pooling of tags, in [0, 1].
        decay_background: decay of the rank pooling of the background, in [0, 1].
    """
    flat = probability_NChw.flatten(2)
    background, classes = flat[:, :1], flat[:, 1:]
    present = rank_pool(classes, decay=decay_tags).log()
    absent = (1 - rank_pool(classes, decay=0)).log()
    class_terms = _masked_mean(present, tags_NK) + _masked_mean(absent, 1 - tags_NK)
    return -(class_terms + rank_pool(background, decay=decay_background)[:, 0].log()).mean()


def _masked_mean(value_NK: Tensor, mask_NK: Tensor) -> Tensor:
    """Mean over the classes of each image where the mask is 1; 0 if it is 1 nowhere."""
    return (value_NK * mask_NK).sum(1) / mask_NK.sum(1).clamp(min=1)


def constrain_loss(probability_NChw: Tensor, smooth_NChw: Tensor) -> Tensor:
    """Mean of KL(smooth || probability) over positions and images."""
    entropy = torch.xlogy(smooth_NChw, smooth_NChw)
    return (entropy - smooth_NChw * probability_NChw.log()).sum(1).mean()


@torch.no_grad()
def smoothed(image_N3HW: Tensor, probability_NChw: Tensor, crf: Crf) -> Tensor:
    """Smooth the probabilities by the dense CRF, on the image shrunk to map size.

    Args:
        image_N3HW: RGB grey levels of the network's input.
        probability_NChw: the segmenter's probabilities.
        crf: parameters of the CRF, with widths in px of the network's input.

    Returns:
        Probabilities (N, C, h, w), without gradient.
    """
    size = probability_NChw.shape[2:]
    small = F.interpolate(image_N3HW.float(), size, mode="area").round().byte().permute(0, 2, 3, 1)
    factor = size[0] / image_N3HW.shape[2]
    widths = {name: getattr(crf, name) * factor for name in ("smooth_sxy", "bilateral_sxy")}
    small_crf = crf.model_copy(update=widths)
    pairs = zip(small.cpu().numpy(), probability_NChw.cpu().numpy(), strict=True)
    marginals = np.stack([dense_crf(image, energy_of(p), small_crf) for image, p in pairs])
    return _lifted(torch.from_numpy(marginals).to(probability_NChw))


def loss(
    logits_NChw: Tensor,
    image_N3HW: Tensor,
    cue_Nhw: Tensor,
    tags_NK: Tensor,
    options: Sec,
) -> Tensor:
    """Sum of the seed loss, the expansion loss and the constrain loss.

    Args:
        logits_NChw: the segmenter's logits.
        image_N3HW: RGB grey levels of the network's input.
        cue_Nhw: class indices at map size, and VOID without a cue.
        tags_NK: 1 for the image's tags, 0 for other classes.
        options: the decays, and the CRF with widths in px of the network's input.
    """
    probability = probabilities(logits_NChw)
    exponent = RELEASED_POSITIONS / probability[0, 0].numel()
    expansion = expansion_loss(
        probability,
        tags_NK,
        decay_tags=options.decay_tags**exponent,
        decay_background=options.decay_background**exponent,
    )
    constrained = constrain_loss(probability, smoothed(image_N3HW, probability, options.crf))
    return seed_loss(probability, cue_Nhw) + expansion + constrained
