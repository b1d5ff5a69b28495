"""SEC's three losses: seed with cues, expand to the tags, constrain to boundaries.

Shapes: N images, K classes, C = 1 + K outputs (background first), h, w map size, p = h * w,
H, W size in px of what the network saw.
Source: Kolesnikov & Lampert, ECCV 2016, and the authors' released layers, whose numbers stand in
params.yaml. Departures: decays hold for the released 41x41 map, other maps get the decay that
weighs the same shares alike; pixel distances of the CRF shrink as the image does (released: by 12,
where 321 / 41 is 7.8); the CRF's result is a constant in the gradient (released: it is let through
in part).
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.core.arrays import VOID
from pipeline.crf.config import Crf
from pipeline.crf.dense import dense_crf, energy_of
from pipeline.segment.config import Sec

FLOOR = 1e-4  # as released: no probability is smaller, so that no logarithm runs away
RELEASED_POSITIONS = 41 * 41


def probabilities(logits_NChw: Tensor) -> Tensor:
    """Softmax, lifted by FLOOR: in (0, 1), sum 1 over C."""
    return _lifted(logits_NChw.float().softmax(1))


def _lifted(probability_NChw: Tensor) -> Tensor:
    lifted = probability_NChw + FLOOR
    return lifted / lifted.sum(1, keepdim=True)


def seed_loss(probability_NChw: Tensor, cue_Nhw: Tensor) -> Tensor:
    """Mean of -log p over an image's cues, mean over images.

    Args:
        probability_NChw: the segmenter's.
        cue_Nhw: class indices, VOID where there is no cue; an image without any counts 0.
    """
    known = cue_Nhw != VOID
    index = torch.where(known, cue_Nhw.long(), 0)
    surprise = -probability_NChw.gather(1, index[:, None])[:, 0].log()
    return ((surprise * known).sum((1, 2)) / known.sum((1, 2)).clamp(min=1)).mean()


def rank_pool(probability_NKp: Tensor, *, decay: float) -> Tensor:
    """Global weighted rank pooling (N, K): the j-th largest of p values weighs decay ** (j - 1).

    Decay 1 is the mean, decay 0 the maximum.
    """
    ranked = probability_NKp.sort(dim=-1, descending=True).values
    rank = torch.arange(ranked.shape[-1], dtype=ranked.dtype, device=ranked.device)
    weight = decay**rank
    return (ranked * weight).sum(-1) / weight.sum()


def expansion_loss(
    probability_NChw: Tensor, tags_NK: Tensor, *, decay_tags: float, decay_background: float
) -> Tensor:
    """Tags and background shall be there, other classes nowhere.

    Args:
        probability_NChw: the segmenter's.
        tags_NK: 1 for the image's tags, 0 for other classes; these are pooled by their maximum.
        decay_tags: of the rank pooling of tags, in [0, 1].
        decay_background: of that of the background, in [0, 1].
    """
    flat = probability_NChw.flatten(2)
    background, classes = flat[:, :1], flat[:, 1:]
    there = rank_pool(classes, decay=decay_tags).log()
    absent = (1 - rank_pool(classes, decay=0)).log()
    each = _mean_of(there, tags_NK) + _mean_of(absent, 1 - tags_NK)
    return -(each + rank_pool(background, decay=decay_background)[:, 0].log()).mean()


def _mean_of(value_NK: Tensor, chosen_NK: Tensor) -> Tensor:
    """Mean over the chosen classes of each image; 0 where none is."""
    return (value_NK * chosen_NK).sum(1) / chosen_NK.sum(1).clamp(min=1)


def constrain_loss(probability_NChw: Tensor, smooth_NChw: Tensor) -> Tensor:
    """Mean over positions of KL(smooth || probability)."""
    entropy = torch.xlogy(smooth_NChw, smooth_NChw)
    return (entropy - smooth_NChw * probability_NChw.log()).sum(1).mean()


@torch.no_grad()
def smoothed(image_N3HW: Tensor, probability_NChw: Tensor, crf: Crf) -> Tensor:
    """What the dense CRF makes of the probabilities on the image shrunk to map size."""
    size = probability_NChw.shape[2:]
    small = F.interpolate(image_N3HW.float(), size, mode="area").round().byte().permute(0, 2, 3, 1)
    factor = size[0] / image_N3HW.shape[2]
    distances = {k: getattr(crf, k) * factor for k in ("smooth_sxy", "bilateral_sxy")}
    rule = crf.model_copy(update=distances)
    pairs = zip(small.cpu().numpy(), probability_NChw.cpu().numpy(), strict=True)
    marginals = np.stack([dense_crf(image, energy_of(p), rule) for image, p in pairs])
    return _lifted(torch.from_numpy(marginals).to(probability_NChw))


def loss(
    logits_NChw: Tensor,
    image_N3HW: Tensor,
    cue_Nhw: Tensor,
    tags_NK: Tensor,
    options: Sec,
) -> Tensor:
    """The sum of the three.

    Args:
        logits_NChw: the segmenter's.
        image_N3HW: RGB grey levels, what the segmenter saw.
        cue_Nhw: class indices at map size, VOID where there is no cue.
        tags_NK: 1 for the image's tags, 0 for other classes.
        options: the decays, and the CRF with its distances in px of what the segmenter saw.
    """
    probability = probabilities(logits_NChw)
    stretch = RELEASED_POSITIONS / probability[0, 0].numel()
    expansion = expansion_loss(
        probability,
        tags_NK,
        decay_tags=options.decay_tags**stretch,
        decay_background=options.decay_background**stretch,
    )
    constrained = constrain_loss(probability, smoothed(image_N3HW, probability, options.crf))
    return seed_loss(probability, cue_Nhw) + expansion + constrained
