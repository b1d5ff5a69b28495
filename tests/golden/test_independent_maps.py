"""The golden maps and scores of the tiny classifier equal loops and definitions; geodesic paths."""

from typing import Any

import numpy as np
import pytest
from skimage.color import rgb2lab
from skimage.segmentation import slic

from pipeline.seeds import roi_pooling
from tests.golden import map_cases, store
from tests.golden.pictures import Float, UInt8


def stored(case, *keys):
    value = store.read(case)
    for key in keys:
        value = value[key]
    return np.array(value)


def convolved(x_CHW, weight, bias, *, stride):
    """Convolve by 3x3 with a border of zeros, pixel by pixel."""
    padded = np.pad(x_CHW, ((0, 0), (1, 1), (1, 1)))
    height, width = (-(-side // stride) for side in x_CHW.shape[1:])
    out = np.zeros((len(weight), height, width))
    for y in range(height):
        for x in range(width):
            window = padded[:, stride * y : stride * y + 3, stride * x : stride * x + 3]
            out[:, y, x] = (weight * window).sum(axis=(1, 2, 3)) + bias
    return out


def plain_maps(net, image_3HW):
    """Apply trunk and score layer to an image. Return (maps, features)."""
    state = {k: v.double().numpy() for k, v in net.state_dict().items()}
    x = (image_3HW.double().numpy() - [[[120]], [[110]], [[100]]]) / 60
    for stage in ("trunk.stages.0.0", "trunk.stages.1.0"):
        x = np.maximum(convolved(x, state[f"{stage}.weight"], state[f"{stage}.bias"], stride=2), 0)
    return np.einsum("kc,chw->khw", state["score.weight"][:, :, 0, 0], x), x


def test_class_maps_equal_convolutions_in_loops():
    net, images = map_cases.classifier(), map_cases.photos()
    maps, _ = plain_maps(net, images[0])
    np.testing.assert_allclose(stored("classifier", "maps", "gap"), maps, rtol=1e-4, atol=1e-6)


def pooled(kind, maps):
    """Pool maps by the definition of `kind`."""
    flat = np.sort(maps.reshape(len(maps), -1), axis=1)[:, ::-1]
    count = flat.shape[1]
    highest, lowest = (lambda k: flat[:, :k].mean(1)), (lambda k: flat[:, -k:].mean(1))
    b = map_cases.OPTIONS["log_sum_exp"]["sharpness"]
    return {
        "gap": lambda: flat.mean(1),
        "gmp": lambda: flat[:, 0],
        "max_min": lambda: flat[:, 0] + flat[:, -1],
        "weldon": lambda: highest(round(0.1 * count)) + lowest(3),
        "wildcat": lambda: highest(round(0.2 * count)) + 0.7 * lowest(round(0.1 * count)),
        "log_sum_exp": lambda: np.log(np.exp(b * flat).mean(1)) / b,
        "soft_max_min": lambda: (
            np.log(np.exp(5 * flat).mean(1)) / 5 - 0.7 * np.log(np.exp(-3 * flat).mean(1)) / 3
        ),
    }[kind]()


@pytest.mark.parametrize(
    "kind", ["gap", "gmp", "max_min", "weldon", "wildcat", "log_sum_exp", "soft_max_min"]
)
def test_scores_equal_the_poolings_by_definition(kind):
    net, expected = map_cases.classifier(kind), []
    for image in map_cases.photos():
        maps, _ = plain_maps(net, image)
        if kind == "wildcat":
            maps = (maps[::2] + maps[1::2]) / 2  # each class has two maps
        expected.append(pooled(kind, maps))
    np.testing.assert_allclose(stored("classifier", "scores", kind), expected, rtol=1e-4, atol=1e-6)


def test_score_of_attention_is_the_mean_weighted_by_a_softmax():
    net, expected = map_cases.classifier("attention"), []
    state = {k: v.double().numpy() for k, v in net.state_dict().items()}
    for image in map_cases.photos():
        maps, x = plain_maps(net, image)
        hidden = np.tensordot(state["attend.0.weight"][:, :, 0, 0], x, 1)
        hidden = np.tanh(hidden + state["attend.0.bias"][:, None, None])
        weight = np.exp(np.tensordot(state["attend.2.weight"][0, :, 0, 0], hidden, 1))
        expected.append((maps * weight).sum(axis=(1, 2)) / weight.sum())
    scores = stored("classifier", "scores", "attention")
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-6)


def mean_slope(net, image: Any, *, cell: tuple[int, int]) -> float:
    """Mean over a cell of 4x4 px of the steepest colour's slope, by finite differences."""
    slopes = np.zeros((4, 4))
    for y, x in np.ndindex(4, 4):
        colours = []
        for channel in range(3):
            up, down = (image.double().clone() for _ in range(2))
            up[channel, 4 * cell[0] + y, 4 * cell[1] + x] += 1e-4
            down[channel, 4 * cell[0] + y, 4 * cell[1] + x] -= 1e-4
            rise = plain_maps(net, up)[0][2].mean() - plain_maps(net, down)[0][2].mean()
            colours.append(abs(rise) / 2e-4)
        slopes[y, x] = max(colours)
    return float(slopes.mean())


def test_grad_cam_and_gradients_equal_derivatives_of_the_scores():
    """With gap, Grad-CAM is the class map. Gradient maps have mean 1; cells keep their ratio."""
    net, image = map_cases.classifier(), map_cases.photos()
    maps, _ = plain_maps(net, image[0])
    np.testing.assert_allclose(stored("classifier", "kinds", "grad_cam"), maps[[0, 2]], rtol=1e-3)
    gradient = np.array(stored("classifier", "kinds", "gradient"))
    np.testing.assert_allclose(gradient.mean((1, 2)), 1, rtol=1e-5)
    one, other = (mean_slope(net, image[0], cell=cell) for cell in ((2, 4), (5, 1)))
    assert gradient[1, 2, 4] / gradient[1, 5, 1] == pytest.approx(one / other, rel=1e-3)


def resized(map_hw: Float, height: int, width: int) -> Float:
    """Resize bilinearly between pixel centres, and repeat the border."""
    out = np.zeros((height, width))
    for y, x in np.ndindex(height, width):
        v = np.clip((y + 0.5) * len(map_hw) / height - 0.5, 0, len(map_hw) - 1)
        u = np.clip((x + 0.5) * map_hw.shape[1] / width - 0.5, 0, map_hw.shape[1] - 1)
        top, left = int(v), int(u)
        low, right = min(top + 1, len(map_hw) - 1), min(left + 1, map_hw.shape[1] - 1)
        upper = (1 - u + left) * map_hw[top, left] + (u - left) * map_hw[top, right]
        lower = (1 - u + left) * map_hw[low, left] + (u - left) * map_hw[low, right]
        out[y, x] = (1 - v + top) * upper + (v - top) * lower
    return out


def test_class_maps_are_normalised_upsampled_and_compared():
    maps = np.maximum(map_cases.small_maps(), 0).astype(float)
    normal = np.array([m / m.max() if m.max() > 0 else m for m in maps])
    np.testing.assert_allclose(stored("class_maps", "normalised"), normal, atol=1e-6)
    large = np.array([resized(m, 6, 10) for m in normal])
    np.testing.assert_allclose(stored("class_maps", "upsampled"), large, atol=1e-6)
    np.testing.assert_allclose(stored("class_maps", "strongest", "value"), large.max(0), atol=1e-6)
    tags = np.array([2, 7, 9])[large.argmax(axis=0)]
    assert (stored("class_maps", "strongest", "class") == tags).mean() > 0.9  # ties go either way
    total = resized(np.arange(12).reshape(3, 4) / 16, 6, 10) + large[0]
    np.testing.assert_allclose(
        stored("class_maps", "next saliency"), total / total.max(), atol=1e-6
    )


def test_maps_of_superpixels_are_means_over_their_pixels():
    photo: UInt8 = map_cases.photos()[1].numpy().transpose(1, 2, 0).copy()
    ids = roi_pooling.superpixels(photo, map_cases.SUPERPIXELS)
    large = resized(map_cases.small_maps()[0], *ids.shape)
    expected = np.zeros(ids.shape)
    for i in np.unique(ids):
        expected[ids == i] = large[ids == i].mean()
    np.testing.assert_allclose(stored("class_maps", "in superpixels"), expected, atol=1e-5)


def test_inference_is_the_mean_over_mirrors_and_scales():
    net, image = map_cases.classifier(), map_cases.photos()[0]
    outputs = []
    for view in (image, image[:, ::2, ::2]):
        plain, mirrored = plain_maps(net, view)[0], plain_maps(net, view.flip(2))[0]
        outputs.append((plain + mirrored[..., ::-1]) / 2)
    resized_small = np.array([resized(m, *outputs[0].shape[1:]) for m in outputs[1]])
    expected = (outputs[0] + resized_small) / 2
    np.testing.assert_allclose(stored("inference", "merged"), expected, rtol=1e-4, atol=1e-6)
    foreground = [1 / (1 + np.exp(o[0] - o[1])) for o in outputs]
    expected = (foreground[0] + resized(foreground[1], *foreground[0].shape)) / 2
    np.testing.assert_allclose(stored("inference", "foreground"), expected, rtol=1e-4, atol=1e-6)


def test_geodesic_saliency_is_the_shortest_path_to_the_border():
    """Every pair of touching superpixels is relaxed until nothing changes."""
    image = map_cases.photos()[1].numpy().transpose(1, 2, 0)
    lab = rgb2lab(image)
    ids = slic(lab, n_segments=40, compactness=10, convert2lab=False, start_label=0)
    mean = {i: lab[ids == i].mean(axis=0) for i in np.unique(ids)}
    edges = {}
    for y, x in np.ndindex(ids.shape):
        for v, u in ((y + 1, x), (y, x + 1)):
            if v < ids.shape[0] and u < ids.shape[1] and ids[y, x] != ids[v, u]:
                pair = tuple(sorted((ids[y, x], ids[v, u])))
                edges[pair] = np.linalg.norm(mean[pair[0]] - mean[pair[1]])
    least = np.mean([min(c for pair, c in edges.items() if i in pair) for i in mean])
    border = {*ids[0], *ids[-1], *ids[:, 0], *ids[:, -1]}
    distance = {i: 0.0 if i in border else np.inf for i in mean}
    for _ in mean:
        for (a, b), cost in edges.items():
            step = (cost if cost > least else 0) + 1e-6
            distance[a] = min(distance[a], distance[b] + step)
            distance[b] = min(distance[b], distance[a] + step)
    distance = {i: d if i not in border else 0.0 for i, d in distance.items()}
    expected = np.vectorize(distance.get)(ids)
    saliency = stored("saliency", "geodesic")
    assert saliency.max() > 10
    np.testing.assert_allclose(saliency, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        stored("saliency", "normalised row"), expected[12] / expected.max(), atol=1e-5
    )
