"""The AP ranking loss: a batch is ranked by the scores of each class.

Shapes: N images, K classes, P images with the class, M images without it.
"""

import torch
from torch import Tensor


def ranking(logits_NK: Tensor, tags_NK: Tensor) -> Tensor:
    """Structured hinge loss of average precision: the sum over the classes of `ap_hinge`.

    A class that all images of the batch have, or none, adds 0. The loss compares images with each
    other and sets no level for the scores. So their sigmoid is not a probability.

    Source: Yue et al., SIGIR 2007 (SVM-MAP). Durand et al., CVPR 2016 (WELDON), train with this
    loss. Both are recalled. Departures: the ranking is that of a batch, not of the whole training
    set; and there is no latent variable to infer, because the pooling is a function of the map.
    """
    per_class = [
        ap_hinge(scores_N[tags_N > 0], scores_N[tags_N <= 0])
        for scores_N, tags_N in zip(logits_NK.T, tags_NK.T, strict=True)
    ]
    return torch.stack(per_class).sum()


def ap_hinge(positive_P: Tensor, negative_M: Tensor) -> Tensor:
    """Compute max over rankings r of 1 - AP(r) + S(r) - S(right), with the margin rescaled.

    S(r) is the mean over all pairs of s_p - s_n, with the opposite sign where r puts the negative
    image n above the positive image p. `right` is a ranking with every positive image on top.

    The loss is at least 1 - AP of the scores' own ranking. It is 0 as soon as every positive score
    exceeds every negative one by M / 4.

    The maximum is exact. In the best ranking, the images of each kind are in the order of their
    scores, and each negative image finds its place without the others (Yue et al., section 5).

    Args:
        positive_P: scores of the images that have the class.
        negative_M: scores of the images that do not.

    Returns:
        A scalar of at least 0; 0 if P or M is 0.
    """
    positives, negatives = len(positive_P), len(negative_M)
    if not (positives and negatives):
        return (positive_P.sum() + negative_M.sum()) * 0
    positive = positive_P.sort(descending=True).values
    negative = negative_M.sort(descending=True).values[:, None]
    k = torch.arange(1, positives + 1, device=positive.device)
    j = torch.arange(1, negatives + 1, device=positive.device)[:, None]
    # what changes if negative j moves up past positive k, with j - 1 negatives above it already
    precision_lost_MP = (j / (j + k) - (j - 1) / (j + k - 1)) / positives
    score_lost_MP = 2 * (positive - negative) / (positives * negatives)
    above_k_to_last = (precision_lost_MP - score_lost_MP).flip(1).cumsum(1)
    return above_k_to_last.amax(1).clamp(min=0).sum()
