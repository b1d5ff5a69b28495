"""The classifier's variants: hidden layers, modalities, attention, superpixels, losses."""

import numpy as np
import pytest
import torch

from pipeline.nets.backbones import build
from pipeline.seeds import roi_pooling
from pipeline.seeds.classifier import LOSSES, Classifier
from pipeline.training.views import balanced


def net(
    pooling="gap", hidden="none", backbone="efficientnet_lite0", superpixels=0, stride=16, **options
):
    torch.manual_seed(0)
    trunk = build(backbone, output_stride=stride, weights="none", classify=True)
    return Classifier(
        trunk, classes=3, hidden=hidden, pooling=pooling, options=options, superpixels=superpixels
    ).eval()


@pytest.fixture
def image():
    noise = torch.Generator().manual_seed(0)
    return torch.randint(0, 255, (2, 3, 64, 96), generator=noise, dtype=torch.uint8)


def test_map_sizes_are_those_of_the_papers_seeders():
    """At 321 px: 21x21 for GAP-LowRes, 41x41 for GAP-HighRes and GAP-DeepLab."""
    image = torch.zeros(1, 3, 321, 321)
    for backbone, hidden, stride, side in (
        ("vgg16", "fc6", 16, 21),
        ("vgg16", "fc6_fc7", 8, 41),
        ("vgg16_deeplab", "largefov", 8, 41),
    ):
        model = net(hidden=hidden, backbone=backbone, stride=stride)
        with torch.no_grad():
            assert model(image).shape == (1, 3, side, side)
        assert model.score.bias is None


def test_a_class_map_is_the_mean_of_its_modalities(image):
    model = net("wildcat", modalities=4, k_max=0.2, k_min=0.2, alpha=0.7)
    with torch.no_grad():
        raw = model.score(model.features(image))
        assert raw.shape[1] == 12
        maps = model(image)
    torch.testing.assert_close(maps[:, 1], raw[:, 4:8].mean(1))


def test_the_score_under_attention_is_the_mean_of_the_map(image):
    model = net("attention", width=8)
    with torch.no_grad():
        features = model.features(image)
        weight = model.attend(features).flatten(2).softmax(2)
        torch.testing.assert_close(weight.sum(2), torch.ones(2, 1))
        attended = (features.flatten(2) * weight).sum(2)
        expected = torch.nn.functional.linear(attended, model.score.weight[:, :, 0, 0])
        torch.testing.assert_close(model.logits(model(image), image), expected)


def test_scores_are_the_pooled_maps(image):
    """The score is the mean of the map under GAP, and its maximum under GMP."""
    for pooling, pooled in (("gap", lambda m: m.mean((2, 3))), ("gmp", lambda m: m.amax((2, 3)))):
        model = net(pooling)
        with torch.no_grad():
            maps = model(image)
            torch.testing.assert_close(model.scores(image), pooled(maps))
        assert maps.std() > 1e-4


def test_a_superpixel_counts_once_whatever_its_area():
    image = torch.zeros(1, 3, 80, 160, dtype=torch.uint8)
    image[..., 120:] = 255
    maps = torch.ones(1, 1, 80, 160)
    maps[..., 120:] = 5
    (pooled,) = roi_pooling.pool(maps, image, 4)
    ids = roi_pooling.superpixels(image[0].permute(1, 2, 0).numpy(), 4)
    light = len(np.unique(ids[:, 31:]))
    expected = [1.0] * (ids.max() + 1 - light) + [5.0] * light
    assert sorted(pooled.flatten().tolist()) == pytest.approx(expected, abs=0.3)


def test_flattened_maps_are_constant_inside_superpixels(rng):
    image = rng.integers(0, 255, (40, 60, 3), dtype=np.uint8)
    maps = rng.random((2, 5, 7)).astype(np.float32)
    ids = roi_pooling.superpixels(image, 6)
    flat = roi_pooling.flatten(maps, image, 6)
    for region in np.unique(ids):
        for flat_map in flat:
            assert np.ptp(flat_map[ids == region]) < 1e-6
    assert roi_pooling.flatten(maps[:0], image, 6).shape == (0, *ids.shape)


def test_gradients_flow_through_superpixels(image):
    model = net(superpixels=8)
    model.scores(image).sum().backward()
    assert model.score.weight.grad.abs().sum() > 0


def test_the_losses_differ_by_the_number_of_classes():
    logits, tags = torch.randn(4, 3), torch.tensor([[1.0, 0, 0]] * 4)
    expected = LOSSES["soft_margin"](logits, tags) * 3
    torch.testing.assert_close(LOSSES["sigmoid"](logits, tags), expected)


def test_balanced_chances_are_equal_for_rare_and_common_classes():
    tags = [np.array([1, 0], np.float32)] * 90 + [np.array([0, 1], np.float32)] * 10
    chance = balanced(tags)
    assert sum(chance) == pytest.approx(1) and sum(chance[90:]) == pytest.approx(0.5)
    assert sum(balanced([np.zeros(2, np.float32)] * 3)) == pytest.approx(1)
