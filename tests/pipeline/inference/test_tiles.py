"""Tiles and windows of large images against the whole image."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.core.maps import resize
from pipeline.inference import tiles
from pipeline.inference.sizes import base_size, views
from pipeline.segment import deeplab

STRIDE = 16


def picture(rng, height, width):
    """A smooth image: noise of a few px, enlarged."""
    small = rng.uniform(0, 255, (height // 8, width // 8, 3)).astype(np.float32)
    large = resize(small.transpose(2, 0, 1), height_px=height, width_px=width)
    return large.transpose(1, 2, 0).astype(np.uint8)


def pointwise(image_HW3):
    """A network that sees one pixel."""
    x = image_HW3.transpose(2, 0, 1).astype(np.float32)
    return np.stack([x[0] - x[1], x[1] + x[2]])


def averaging(image_HW3):
    """A network of stride 16 that sees 48 px around a cell: means of 3 x 3 cells."""
    height, width = (side // STRIDE for side in image_HW3.shape[:2])
    cells = image_HW3.reshape(height, STRIDE, width, STRIDE, 3).mean(axis=(1, 3), dtype=np.float32)
    padded = np.pad(cells, ((1, 1), (1, 1), (0, 0)), mode="edge")
    shifted = [padded[i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return np.mean(shifted, axis=0).transpose(2, 0, 1)


@pytest.mark.parametrize("length, size, overlap", [
    (10, 10, 4), (7, 10, 4), (11, 10, 4), (100, 10, 4), (16, 10, 4), (22, 10, 4), (23, 10, 0),
])  # fmt: skip
def test_spans_cover_all_with_parts_of_one_size_that_overlap(length, size, overlap):
    spans = tiles.spans(length, size=size, overlap=overlap)
    assert spans[0].start == 0 and spans[-1].stop == length
    assert {s.stop - s.start for s in spans} == {min(size, length)}
    assert all(a.stop - b.start >= overlap for a, b in pairwise(spans))


@pytest.mark.parametrize("compute", [pointwise, averaging])
def test_a_tile_that_covers_the_image_gives_what_the_whole_image_gives(rng, compute):
    image = picture(rng, 150, 210)
    for tile_px in (224, 1024):
        logits = tiles.blended(compute, image, tile_px=tile_px, stride=STRIDE)
        size = base_size(150, 210, size_px="native", stride=STRIDE)
        assert (logits == compute(views(image, size, [1.0], stride=STRIDE)[0])).all()


@pytest.mark.parametrize("tile_px", [64, 80, 130])
def test_tiles_of_a_network_that_sees_one_pixel_give_what_the_whole_image_gives(rng, tile_px):
    image = picture(rng, 320, 480)
    logits = tiles.blended(pointwise, image, tile_px=tile_px, stride=STRIDE)
    np.testing.assert_allclose(logits, pointwise(image), atol=1e-4)


def test_tiles_differ_from_the_whole_image_only_where_the_network_sees_beyond_a_tile(rng):
    image = picture(rng, 480, 640)
    whole = averaging(image)
    logits = tiles.blended(averaging, image, tile_px=256, stride=STRIDE)
    difference = np.abs(logits - whole).max(axis=0)
    rows, columns = (tiles.spans(s, size=256, overlap=64) for s in (480, 640))
    inner = {s.start for s in (*rows, *columns)} | {s.stop for s in (*rows, *columns)}
    borders = sorted(inner - {0, 480, 640})
    assert difference.max() < 0.06 * np.ptp(whole)  # stated: 6 % of the range, at a tile's side
    near = np.zeros_like(difference, bool)
    for px in borders:
        near[px // STRIDE - 1 : px // STRIDE + 1] = True
        near[:, px // STRIDE - 1 : px // STRIDE + 1] = True
    assert difference[~near].max() < 1e-4 < difference[near].max()


def segmenter(*, image_branch=None):
    """Our head v3 on a trunk that sees its own cell. Its branches reach 18 cells to each side.

    Args:
        image_branch: what its branch of the image's mean gives. By default, it is computed.

    Returns:
        The network, and the list of what this branch gave.
    """
    torch.manual_seed(0)
    trunk = nn.Conv2d(3, 4, STRIDE, stride=STRIDE)
    head, given = deeplab.Pyramid({STRIDE: 4}, 3, skip=False, width=8).eval(), []

    def branch(module, inputs, output):
        given.append(output)
        return image_branch

    head.image.register_forward_hook(branch)

    def compute(image_HW3):
        image = torch.from_numpy(image_HW3.transpose(2, 0, 1).copy()).float() / 255
        with torch.inference_mode():
            return head({STRIDE: trunk(image[None])})[0].numpy()

    return compute, given


def test_tiles_of_a_segmenter_are_the_whole_image_beyond_their_overlap(rng):
    """All but its branch of the image's mean, which sees a tile where it saw the image."""
    image = rng.integers(0, 255, (320, 2240, 3), dtype=np.uint8)
    image[:, :1000] //= 4  # so the means differ
    compute, given = segmenter()
    whole = compute(image)
    alone, _ = segmenter(image_branch=given[0])
    overlap = slice(960 // STRIDE, 1280 // STRIDE)  # of two tiles of 1,280 px; wider than the reach
    blended = [tiles.blended(c, image, tile_px=1280, stride=STRIDE) for c in (alone, compute)]
    difference, with_mean = (np.abs(b - whole).max(axis=(0, 1)) for b in blended)
    beyond = np.delete(difference, overlap)
    assert beyond.max() < 1e-5 < 1e-3 < difference[overlap].max()
    assert np.delete(with_mean, overlap).min() > 1e-3


def test_logits_ramp_linearly_from_tile_to_tile():
    """Each tile gets a constant: the next whole number."""
    numbers = iter(range(9))

    def number(image_HW3):
        return np.full((1, image_HW3.shape[0] // 16, image_HW3.shape[1] // 16), next(numbers), "f4")

    image = np.zeros((128, 224, 3), np.uint8)
    row = tiles.blended(number, image, tile_px=128, stride=16)[0, 0]
    # the two tiles share 32 px: cells 6 and 7
    np.testing.assert_allclose(row, [0] * 6 + [0.25, 0.75] + [1] * 6)


def test_logits_of_a_network_with_a_fixed_input_size_are_put_on_the_grid(rng):
    def fixed(image_HW3):
        return np.ones((2, 7, 7), np.float32)

    logits = tiles.blended(fixed, picture(rng, 320, 320), tile_px=128, stride=STRIDE)
    assert logits.shape == (2, 20, 20) and (logits == 1).all()


@pytest.mark.parametrize("size", [(300, 410), (61, 83), (20, 33)])
def test_a_window_is_a_part_of_the_resized_maps(rng, size):
    maps = rng.normal(size=(3, 38, 52)).astype(np.float32)
    whole = resize(maps, height_px=size[0], width_px=size[1])
    for rows, columns in tiles.windows(*size, window_px=50):
        part = tiles.window(maps, rows, columns, height_px=size[0], width_px=size[1])
        np.testing.assert_allclose(part, whole[:, rows, columns], atol=2e-6)


def test_windows_divide_the_image():
    count = np.zeros((100, 233), int)
    for rows, columns in tiles.windows(100, 233, window_px=64):
        count[rows, columns] += 1
        assert rows.stop - rows.start <= 64 and columns.stop - columns.start <= 64
    assert (count == 1).all()


def test_labels_in_windows_are_those_of_the_whole_image(rng):
    image = picture(rng, 200, 304)
    logits = rng.normal(size=(4, 13, 19)).astype(np.float32)
    sizes = []

    def strongest(part_HW3, logits_KHW):
        assert part_HW3.shape[:2] == logits_KHW.shape[1:]
        sizes.append(part_HW3.shape[:2])
        return logits_KHW.argmax(axis=0).astype(np.uint8)

    whole = tiles.label(image, logits, strongest)
    assert sizes == [(200, 304)]
    in_windows = tiles.label(image, logits, strongest, window_px=64, margin_px=10)
    assert (in_windows == whole).all()
    assert len(sizes) == 1 + 4 * 5 and max(max(s) for s in sizes[1:]) <= 64 + 2 * 10


def test_a_window_sees_its_surroundings_in_the_image(rng):
    """The label is taken from 5 px to the left: it is right if the margin is that wide."""
    image = rng.integers(0, 255, (90, 120, 3), dtype=np.uint8)
    logits = np.zeros((1, 9, 12), np.float32)

    def shifted(part_HW3, _):
        return np.roll(part_HW3[..., 0], 5, axis=1)

    label = tiles.label(image, logits, shifted, window_px=32, margin_px=5)
    assert (label[:, 5:] == image[:, :-5, 0]).all()
