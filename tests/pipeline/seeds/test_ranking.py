"""The AP ranking loss: by hand, against all rankings, and what it asks of the scores."""

from itertools import permutations

import pytest
import torch

from pipeline.seeds.classifier import LOSSES
from pipeline.seeds.ranking import ap_hinge, ranking


def test_one_positive_and_two_negatives_by_hand():
    """The first negative costs AP 1/2 and lacks a margin of 0.1; the second has enough."""
    loss = ap_hinge(torch.tensor([0.2]), torch.tensor([-0.5, 0.1]))
    assert loss.item() == pytest.approx(1 / 2 - (0.2 - 0.1))


def test_two_positives_and_two_negatives_of_equal_scores_by_hand():
    """Nothing holds the worst ranking back: both negatives on top, AP (1/3 + 2/4) / 2."""
    loss = ap_hinge(torch.zeros(2), torch.zeros(2))
    assert loss.item() == pytest.approx(1 - (1 / 3 + 2 / 4) / 2)


def average_precision(order, positives):
    """AP of a ranking of indices, of which those below `positives` are positive."""
    ranks = [rank for rank, image in enumerate(order, 1) if image < positives]
    return sum(n / rank for n, rank in enumerate(ranks, 1)) / positives


def pairs_right(order, scores, positives):
    """Mean over the pairs of s_p - s_n, negative where the ranking puts n first."""
    place, total = {image: rank for rank, image in enumerate(order)}, 0.0
    for p in range(positives):
        for n in range(positives, len(order)):
            total += (scores[p] - scores[n]) * (1 if place[p] < place[n] else -1)
    return total / (positives * (len(order) - positives))


@pytest.mark.parametrize("positives", [1, 2, 3, 4])
@pytest.mark.parametrize("spread", [0.1, 0.5, 2])
def test_the_loss_is_the_maximum_over_all_rankings(positives, spread):
    noise = torch.Generator().manual_seed(positives)
    scores = spread * torch.randn(6, generator=noise, dtype=torch.double)
    right = pairs_right(range(6), scores, positives)
    expected = max(
        1 - average_precision(order, positives) + pairs_right(order, scores, positives) - right
        for order in permutations(range(6))
    )
    loss = ap_hinge(scores[:positives], scores[positives:])
    assert loss.item() == pytest.approx(float(expected), abs=1e-6)
    own = sorted(range(6), key=lambda i: -float(scores[i]))
    assert loss.item() >= 1 - average_precision(own, positives) - 1e-6


def test_no_loss_once_every_positive_is_above_every_negative_by_the_margin():
    negative = torch.tensor([0.0, -1.0, -3.0])  # margin 3/4
    assert ap_hinge(torch.tensor([0.75, 2.0]), negative) == 0
    assert ap_hinge(torch.tensor([0.7]), negative).item() == pytest.approx(0.05 * 2 / 3)


def test_gradients_lift_positives_and_lower_negatives():
    logits = torch.tensor([[0.0], [0.1], [0.2], [-0.1]], requires_grad=True)
    tags = torch.tensor([[1.0], [0.0], [0.0], [1.0]])
    ranking(logits, tags).backward()
    assert logits.grad[[0, 3]].max() < 0 < logits.grad[[1, 2]].min()
    assert logits.grad.sum().item() == pytest.approx(0, abs=1e-6)  # only differences count


def test_a_class_that_all_or_no_images_have_adds_nothing():
    logits = torch.tensor([[1.0, 0.2, 3.0], [5.0, 0.1, 2.0], [2.0, -0.5, 9.0]], requires_grad=True)
    tags = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    loss = LOSSES["ranking"](logits, tags)
    assert loss.item() == pytest.approx(1 / 2 - (0.2 - 0.1))
    loss.backward()
    assert (logits.grad[:, [0, 2]] == 0).all()
