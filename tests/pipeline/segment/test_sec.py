"""SEC's losses against values by hand, and properties that hold for any input."""

import math

import numpy as np
import pytest
import torch

from pipeline.core.arrays import VOID
from pipeline.crf import dense
from pipeline.crf.config import Crf
from pipeline.segment import sec
from pipeline.segment.config import Sec

CRF = Crf(
    iterations=5, smooth_w=3, smooth_sxy=3, bilateral_w=10, bilateral_sxy=80, bilateral_srgb=13
)
OPTIONS = Sec(decay_tags=0.996, decay_background=0.999, crf=CRF)


def random_probability(*shape):
    torch.manual_seed(0)
    return sec.probabilities(torch.randn(*shape))


def test_no_probability_is_zero():
    p = sec.probabilities(torch.tensor([[[[0.0]], [[200.0]]]]))
    assert p.sum().item() == pytest.approx(1)
    assert p[0, 0].item() == pytest.approx(1e-4, rel=1e-3) and p[0, 1].item() < 1


def test_seed_loss_by_hand():
    """Probabilities at the cues: 1/2 and 1/4 in the first image, 1/8 in the second."""
    p = torch.full((2, 2, 1, 3), 0.5)
    p[0, 1, 0], p[1, 0, 0] = torch.tensor([0.5, 0.25, 0.9]), torch.tensor([0.1, 0.125, 0.1])
    cue = torch.tensor([[[1, 1, VOID]], [[VOID, 0, VOID]]], dtype=torch.uint8)
    expected = ((math.log(2) + math.log(4)) / 2 + math.log(8)) / 2
    assert sec.seed_loss(p, cue).item() == pytest.approx(expected)


def test_seed_loss_without_cues_is_zero():
    cue = torch.full((2, 4, 5), VOID, dtype=torch.uint8)
    assert sec.seed_loss(random_probability(2, 3, 4, 5), cue) == 0


def test_rank_pool_by_hand():
    p = torch.tensor([[[0.2, 0.8, 0.4]]])
    expected = (0.8 + 0.5 * 0.4 + 0.25 * 0.2) / 1.75
    assert sec.rank_pool(p, decay=0.5).item() == pytest.approx(expected)


def test_rank_pool_lies_between_mean_and_maximum():
    p = torch.rand(2, 3, 50, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(sec.rank_pool(p, decay=1), p.mean(-1))
    torch.testing.assert_close(sec.rank_pool(p, decay=0), p.amax(-1))
    between = sec.rank_pool(p, decay=0.9)
    assert (between > p.mean(-1)).all() and (between < p.amax(-1)).all()


def test_expansion_loss_by_hand():
    """With decays of 0, the maxima count: tag 1/2, other classes 1/4 and 3/4, background 1/8."""
    top = torch.tensor([0.125, 0.5, 0.25, 0.75])
    p = torch.stack([top, top / 2], dim=1)[None, :, :, None]
    loss = sec.expansion_loss(p, torch.tensor([[1.0, 0, 0]]), decay_tags=0, decay_background=0)
    expected = math.log(2) - (math.log(0.75) + math.log(0.25)) / 2 + math.log(8)
    assert loss.item() == pytest.approx(expected)


@pytest.mark.parametrize("tags", [[0.0, 0.0], [1.0, 1.0]])
def test_the_expansion_loss_is_finite_with_no_tag_and_with_all_tags(tags):
    p = random_probability(1, 3, 4, 5)
    loss = sec.expansion_loss(p, torch.tensor([tags]), decay_tags=1, decay_background=1)
    assert torch.isfinite(loss) and loss > 0


def test_constrain_loss_is_zero_where_both_agree_and_positive_elsewhere():
    p = random_probability(2, 3, 4, 5)
    assert sec.constrain_loss(p, p).item() == pytest.approx(0, abs=1e-6)
    assert sec.constrain_loss(p, p.flip(1)) > 0.01
    sure = torch.tensor([1.0, 0]).view(1, 2, 1, 1)
    half = torch.tensor([0.5, 0.5]).view(1, 2, 1, 1)
    assert sec.constrain_loss(half, sure).item() == pytest.approx(math.log(2))


def test_a_crf_without_pairwise_weights_returns_the_probabilities():
    crf = CRF.model_copy(update={"smooth_w": 0.0, "bilateral_w": 0.0})
    p, image = random_probability(2, 3, 8, 8), torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    torch.testing.assert_close(sec.smoothed(image, p, crf), p, atol=2e-4, rtol=0)


def test_the_crf_gets_the_shrunk_image_and_shrunk_widths(rng):
    image = rng.integers(0, 255, (1, 3, 32, 32), dtype=np.uint8)
    p = random_probability(1, 3, 8, 8)
    small = image.reshape(1, 3, 8, 4, 8, 4).mean((3, 5)).round().astype(np.uint8)
    small_crf = CRF.model_copy(update={"smooth_sxy": 0.75, "bilateral_sxy": 20.0})
    energy = dense.energy_of(p[0].numpy())
    expected = dense.dense_crf(np.ascontiguousarray(small[0].transpose(1, 2, 0)), energy, small_crf)
    smooth = sec.smoothed(torch.from_numpy(image), p, CRF)
    np.testing.assert_allclose(smooth[0].numpy(), expected, atol=2e-3)


def test_crf_result_is_a_constant_in_the_gradient():
    p = random_probability(1, 3, 4, 4).requires_grad_()
    assert not sec.smoothed(torch.zeros(1, 3, 8, 8), p, CRF).requires_grad


def total(logits, cue, tags, crf=CRF):
    """The sum of the three losses on a black image at stride 4."""
    image = torch.zeros(len(logits), 3, 4 * logits.shape[2], 4 * logits.shape[3])
    return sec.loss(logits, image, cue, tags, OPTIONS.model_copy(update={"crf": crf}))


def test_the_loss_does_not_depend_on_the_map_size():
    """A map of 82x82 repeats each value of a map of 41x41 four times."""
    crf = CRF.model_copy(update={"smooth_w": 0.0, "bilateral_w": 0.0})
    torch.manual_seed(0)
    logits, cue = torch.randn(1, 3, 41, 41), torch.full((1, 41, 41), VOID)
    tags = torch.tensor([[1.0, 0.0]])
    large, large_cue = (x.repeat_interleave(2, -1).repeat_interleave(2, -2) for x in (logits, cue))
    small_loss = total(logits, cue, tags, crf)
    torch.testing.assert_close(total(large, large_cue, tags, crf), small_loss, rtol=2e-3, atol=0)


def test_minimising_the_loss_gives_the_cues_and_the_tags():
    torch.manual_seed(0)
    logits = torch.randn(1, 4, 8, 8).requires_grad_()
    cue = torch.full((1, 8, 8), VOID)
    cue[0, 2, 2], cue[0, 7, 7] = 2, 0
    tags = torch.tensor([[0.0, 1.0, 0.0]])
    optimizer = torch.optim.Adam([logits], lr=0.3)
    losses = []
    for _ in range(40):
        losses.append(total(logits, cue, tags))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    label = logits.argmax(1)[0]
    assert losses[-1] < losses[0] / 2
    assert label[2, 2] == 2 and label[7, 7] == 0 and set(label.unique().tolist()) == {0, 2}
