"""Attention under the score layer: by hand, and what the classes see of the features."""

import pytest
import torch

from pipeline.seeds.classifier import Classifier
from pipeline.seeds.feature_attention import Adl, Edam
from tests.golden.map_cases import TinyTrunk, fill, photos

FEATURES = torch.tensor([[[[4.0, 0.0, 3.0]], [[4.0, 2.0, 3.0]]], [[[0.0, 1.0, 0.0]], [[0.0] * 3]]])


def net(kind, **options):
    torch.manual_seed(0)
    classifier = Classifier(
        TinyTrunk(), classes=3, hidden="none", pooling="gap", options={},
        feature_attention=kind, feature_attention_options=options,
    )  # fmt: skip
    fill(classifier, seed=5)
    return classifier.eval()


def test_adl_drops_the_strongest_positions_of_each_image():
    """The means of the channels are 4, 1, 3 and 0, 0.5, 0: at least 0.75 of the top is hidden."""
    factor = Adl(drop_rate=1, drop_threshold=0.75).train()(FEATURES)
    assert factor.tolist() == [[[[0, 1, 0]]], [[[1, 0, 1]]]]


def test_adl_stresses_by_the_sigmoid_of_the_mean():
    factor = Adl(drop_rate=0, drop_threshold=0.75).train()(FEATURES)
    expected = torch.tensor([[[[4, 1, 3.0]]], [[[0, 0.5, 0]]]]).sigmoid()
    torch.testing.assert_close(factor, expected)


def test_adl_draws_the_drop_mask_at_its_rate():
    torch.manual_seed(0)
    layer = Adl(drop_rate=0.75, drop_threshold=0.8).train()
    dropped = [bool((layer(FEATURES) == 0).any()) for _ in range(400)]
    assert sum(dropped) == pytest.approx(300, abs=30)


def test_adl_changes_nothing_at_test_time():
    image = photos()
    with torch.no_grad():
        torch.testing.assert_close(
            net("adl", drop_rate=1, drop_threshold=0.5)(image), net("none")(image)
        )


def test_edam_shares_each_position_among_the_classes_and_the_background():
    layer = Edam(2, 2)
    with torch.no_grad():
        layer.attend.weight.copy_(torch.tensor([[0.0, 0], [1, 0], [0, 1]])[:, :, None, None])
        layer.attend.bias.copy_(torch.tensor([0.5, 0, 0]))
        factor = layer(FEATURES)
    raw = torch.tensor([4.0, 4.0]).exp()  # of the first position of the first image
    torch.testing.assert_close(factor[0, :, 0, 0], raw / (raw.sum() + torch.tensor(0.5).exp()))
    assert factor.shape == (2, 2, 1, 3) and (factor.sum(1) < 1).all()


@pytest.mark.parametrize("kind", ["adl", "edam"])
def test_a_class_is_scored_from_the_features_times_its_factor(kind):
    """As the papers have it: attention first, then the score layer."""
    options = {"drop_rate": 1, "drop_threshold": 0.8} if kind == "adl" else {}
    classifier = net(kind, **options)
    classifier.feature_attention.train()
    with torch.no_grad():
        features = classifier.features(photos())
        factor = classifier.feature_attention(features).expand(-1, 3, -1, -1)
        expected = [
            classifier.score(features * factor[:, [k]]).mean((2, 3))[:, k] for k in range(3)
        ]
        scores = classifier.logits(classifier.class_maps(features), photos())
    torch.testing.assert_close(scores, torch.stack(expected, 1))


def test_gradients_reach_the_attention_of_edam():
    classifier = net("edam")
    classifier.scores(photos()).sum().backward()
    assert classifier.feature_attention.attend.weight.grad.abs().sum() > 0
