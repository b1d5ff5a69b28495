import numpy as np
import torch

from pipeline.core.maps import normalise, resize, strongest
from pipeline.guide import seed_rule
from pipeline.nets.backbones import build
from pipeline.seeds.classifier import Classifier


def net(pooling="gap"):
    trunk = build("efficientnet_lite0", output_stride=16, weights="none", classify=True)
    return Classifier(trunk, classes=3, hidden="none", pooling=pooling, options={}).eval()


def test_mean_of_the_map_is_the_logit():
    model = net()
    with torch.no_grad():
        image = torch.randint(0, 255, (2, 3, 64, 64))
        maps = model(image)
    torch.testing.assert_close(model.logits(maps, image), maps.mean((2, 3)))


def test_each_map_is_divided_by_its_own_maximum():
    maps = np.array([[[-1.0, 2.0]], [[0.5, 0.25]], [[-3.0, -4.0]]], np.float32)
    assert normalise(maps).tolist() == [[[0, 1]], [[1, 0.5]], [[0, 0]]]


def test_seed_rule_by_hand():
    maps = np.array([[[1.0, 0.6, 0.1, 0.0]], [[0.0, 0.8, 0.15, 2.0]]], np.float32)
    args = {"height_px": 1, "width_px": 4}
    classes = np.array([3, 7], np.uint8)
    # normalised: [1, .6, .1, 0] and [0, .4, .075, 1]
    assert seed_rule.seed_labels(maps, classes, threshold=0.2, **args).tolist() == [[3, 3, 0, 7]]
    assert seed_rule.seed_labels(maps, classes, threshold=0.05, **args).tolist() == [[3, 3, 3, 7]]
    assert seed_rule.seed_labels(maps, classes, threshold=0.7, **args).tolist() == [[3, 0, 0, 7]]


def test_a_pixel_at_the_threshold_is_a_seed():
    maps, classes = np.array([[[1.0, 0.5, 0.25]]], np.float32), np.array([3], np.uint8)
    args = {"height_px": 1, "width_px": 3}
    at = seed_rule.seed_labels(maps, classes, threshold=0.5, **args)
    assert at.tolist() == [[3, 3, 0]] and at.dtype == np.uint8
    above = seed_rule.seed_labels(maps, classes, threshold=0.5001, **args)
    assert above.tolist() == [[3, 0, 0]]


def test_maps_without_pixels_stay_empty():
    assert normalise(np.zeros((2, 0, 4), np.float32)).shape == (2, 0, 4)


def test_maps_are_resized_by_straight_lines_between_the_middles_of_their_pixels():
    maps = np.array([[[0, 4]], [[8, 0]]], np.float32)
    out = resize(maps, height_px=2, width_px=4)
    assert out.tolist() == [[[0, 1, 3, 4]] * 2, [[8, 6, 2, 0]] * 2]


def test_one_map_is_resized_and_divided_as_one_of_several():
    maps = np.array([[[0, 4], [2, 8]], [[-1, 0], [3, 1]]], np.float32)
    both = resize(maps, height_px=3, width_px=5)
    assert both.shape == (2, 3, 5)
    for map_hw, resized in zip(maps, both, strict=True):
        assert np.array_equal(resize(map_hw, height_px=3, width_px=5), resized)
        assert np.array_equal(normalise(map_hw), normalise(map_hw[None])[0])
    assert normalise(maps[1]).tolist() == [[0, 0], [1, np.float32(1) / 3]]


def test_the_strongest_class_at_each_pixel_by_hand():
    maps = np.array([[[0.5, 0.25]], [[0.75, 0.125]]], np.float32)
    value, label = strongest(maps, np.array([3, 7]))
    assert value.tolist() == [[0.75, 0.25]] and label.tolist() == [[7, 3]]
    assert (value.dtype, label.dtype) == (np.float32, np.uint8)


def test_no_tags_no_seeds():
    empty, none = np.zeros((0, 3, 4), np.float32), np.zeros(0, np.uint8)
    out = seed_rule.seed_labels(empty, none, threshold=0.2, height_px=6, width_px=8)
    assert out.shape == (6, 8) and not out.any()
    maps = resize(empty, height_px=6, width_px=8)
    assert maps.shape == (0, 6, 8) and maps.dtype == np.float32
    value, label = strongest(maps, none)
    assert (value.dtype, label.dtype) == (np.float32, np.uint8) and not value.any()


def test_a_map_without_evidence_makes_no_seed():
    maps = np.full((1, 2, 2), -1, np.float32)
    out = seed_rule.seed_labels(
        maps, np.array([1], np.uint8), threshold=0.0, height_px=2, width_px=2
    )
    assert not out.any()


def test_hidden_layers_and_stride_of_gap_highres():
    trunk = build("vgg16", output_stride=8, weights="none")
    model = Classifier(trunk, classes=20, hidden="fc6_fc7", pooling="gap", options={}).eval()
    with torch.no_grad():
        maps = model(torch.zeros(1, 3, 321, 321))
    assert maps.shape == (1, 20, 41, 41)
    assert model.score.bias is None
