"""Polygons of masks, filled again by points at the centres of pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import points_in_poly

from app.exports import coco, label_studio, outlines, source
from app.exports.masks import export_masks
from app.imports.coco import decode
from app.imports.label_studio import decode as decode_brush
from pipeline.core import formats
from pipeline.core.layout import Layout
from tests.app.exports.conftest import labels

MASKS = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def centres(shape):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.stack([x.ravel(), y.ravel()], axis=1) + 0.5


def fill(polygons, shape):
    inside = np.zeros(shape[0] * shape[1], bool)
    for polygon in polygons:
        inside |= points_in_poly(centres(shape), polygon)
    return inside.reshape(shape)


def distance(points_P2, ring_N2):
    """Return the distance of each point to a ring of segments."""
    a, b = ring_N2[None].astype(float), np.roll(ring_N2, -1, axis=0)[None].astype(float)
    p = points_P2[:, None].astype(float)
    length = np.maximum(((b - a) ** 2).sum(-1), 1e-9)
    t = np.clip(((p - a) * (b - a)).sum(-1) / length, 0, 1)
    return np.sqrt(((p - a - t[..., None] * (b - a)) ** 2).sum(-1)).min(axis=1)


@settings(max_examples=60, deadline=None)
@given(MASKS)
def test_without_tolerance_the_polygons_are_the_mask(mask):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outlines, "TOLERANCE_PX", 0.0)
        polygons = outlines.polygons(mask)
    assert np.array_equal(fill(polygons, mask.shape), mask)


@settings(max_examples=60, deadline=None)
@given(MASKS)
def test_a_pixel_may_only_change_within_the_tolerance_of_an_outline(mask):
    polygons = outlines.polygons(mask)
    changed = centres(mask.shape)[(fill(polygons, mask.shape) != mask).ravel()]
    if len(changed):
        nearest = np.min([distance(changed, polygon) for polygon in polygons], axis=0)
        assert nearest.max() <= outlines.TOLERANCE_PX


def test_a_slope_needs_few_points_and_a_hole_stays_open():
    y, x = np.mgrid[:60, :60]
    disc = (x - 30) ** 2 + (y - 30) ** 2 < 25**2
    (polygon,) = outlines.polygons(disc)
    assert len(polygon) < 25
    ring = disc & ((x - 30) ** 2 + (y - 30) ** 2 >= 8**2)
    parts = outlines.polygons(ring)
    assert len(parts) == 2
    filled = fill(parts, ring.shape)
    assert not filled[26:35, 26:35].any() and (filled != ring).mean() < 0.03


def test_both_parts_keep_the_ends_of_a_cut():
    y, x = np.mgrid[:60, :60]
    disc = (x - 30) ** 2 + (y - 30) ** 2 < 20**2
    parts = outlines.polygons(disc & ((x - 30) ** 2 + (y - 38) ** 2 >= 6**2))
    upper, lower = (sorted(p[p[:, 1] == 38, 0].tolist()) for p in parts)
    assert (
        upper == lower == [12, 25, 36, 49]
    )  # without the ends, a wedge would open beside the hole


def test_coco_polygons_are_lists_of_numbers(made):
    chosen = source.read_source(str(made), layout=Layout(), supervision="guide")
    export_masks(chosen, made.parent / "out", name="coco", polygons=True)
    content = formats.read_json(made.parent / "out/annotations/instances_default.json")
    ids = {image["id"]: image["file_name"].rpartition(".")[0] for image in content["images"]}
    seen = set()
    for annotation in content["annotations"]:
        mask = labels()[ids[annotation["image_id"]]] == annotation["category_id"]
        polygons = [np.array(p).reshape(-1, 2) for p in annotation["segmentation"]]
        assert all(len(p) >= 3 for p in polygons) and annotation["area"] == mask.sum()
        assert (fill(polygons, mask.shape) != mask).mean() < 0.1
        seen.add(ids[annotation["image_id"]])
    assert seen == {"two words", "full", "turned"}


@settings(max_examples=60, deadline=None)
@given(MASKS)
def test_run_lengths_read_back(mask):
    assert np.array_equal(decode(coco.run_lengths(mask), size=mask.shape), mask)


def test_long_runs_read_back():
    """Differences of run lengths that need several groups, and are negative."""
    mask = np.zeros((300, 250), bool)
    mask[:, 100:200], mask[10:20, 220], mask[5, 7] = True, True, True
    assert np.array_equal(decode(coco.run_lengths(mask), size=mask.shape), mask)
    decoded = decode_brush(label_studio.encode(mask), count=300 * 250 * 4).reshape(300, 250, 4)
    assert np.array_equal(decoded[:, :, 3] > 0, mask)
