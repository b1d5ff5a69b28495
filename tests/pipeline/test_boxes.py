import json

import numpy as np
import pytest

from pipeline import boxes
from pipeline.arrays import VOID
from pipeline.errors import UserError


@pytest.fixture
def scene():
    """A red disc on green, and its box with a margin."""
    y, x = np.mgrid[:60, :80]
    disc = (y - 30) ** 2 + (x - 40) ** 2 < 15**2
    image = np.where(disc[..., None], (200, 40, 40), (40, 160, 60)).astype(np.uint8)
    image += np.random.default_rng(0).integers(0, 10, image.shape, dtype=np.uint8)
    return image, disc, (22, 12, 36, 36)


def test_grabcut_finds_the_object_in_its_box(scene):
    image, disc, box = scene
    label = boxes.masks_from_boxes(image, [box], iterations=5, min_fill=0.3, fallback="ignore")
    assert (label[disc] == 1).mean() > 0.97 and (label[~disc] == 0).mean() > 0.97


@pytest.mark.parametrize("fallback, value", [("box", 1), ("ignore", VOID)])
def test_a_mask_that_fills_too_little_is_not_believed(scene, fallback, value):
    image, _, box = scene
    label = boxes.masks_from_boxes(image, [box], iterations=5, min_fill=0.9, fallback=fallback)
    x, y, w, h = box
    assert (label[y : y + h, x : x + w] == value).all()
    assert label.sum() == value * w * h


def test_a_box_over_the_whole_image_is_all_object(scene):
    image, _, _ = scene
    label = boxes.masks_from_boxes(
        image, [(0, 0, 80, 60)], iterations=1, min_fill=0.5, fallback="box"
    )
    assert (label == 1).all()


def test_denoise_keeps_what_the_net_finds_inside_boxes(scene):
    _, disc, (x, y, w, h) = scene
    before = np.zeros((60, 80), np.uint8)
    before[y : y + h, x : x + w] = VOID
    outside = disc.copy()
    outside[:5, :5] = True
    out = boxes.denoise(outside, before, [(x, y, w, h)], min_fill=0.3)
    assert (out == disc).all()
    kept = boxes.denoise(np.zeros_like(disc), before, [(x, y, w, h)], min_fill=0.3)
    assert (kept == before).all()


def coco(tmp_path, names):
    content = {
        "images": [{"id": i, "file_name": f"{n}.jpg"} for i, n in enumerate(names)],
        "categories": [{"id": i, "name": n} for i, n in enumerate(names)],
        "annotations": [
            {"image_id": i, "category_id": i, "bbox": [1.2, 2.0, 3.4, 0.2]}
            for i, _ in enumerate(names)
        ],
    }
    (tmp_path / "boxes.json").write_text(json.dumps(content))


def test_target_classes_are_left_out_under_either_name(tmp_path):
    coco(tmp_path, ["zebra", "dog", "couch", "tv"])
    kept, left_out = boxes.read_boxes(tmp_path, target_classes=["dog", "sofa"])
    assert [b.image.stem for b in kept] == ["zebra", "tv"] and left_out == 2
    assert kept[0].boxes == ((1, 2, 3, 1),)
    assert boxes.read_boxes(tmp_path, target_classes=["tv", "zebra"])[1] == 2


@pytest.mark.parametrize("box", [(500, 2, 3, 3), (-9, -9, 4, 4), (78, 58, 50, 50), (-5, 3, 8, 8)])
def test_a_box_that_leaves_the_image_is_cut(scene, box):
    label = boxes.masks_from_boxes(scene[0], [box], iterations=1, min_fill=0.0, fallback="box")
    assert label.shape == (60, 80) and (label > 0).sum() <= 25


def test_nothing_left_and_wrong_form_are_said(tmp_path):
    coco(tmp_path, ["dog"])
    with pytest.raises(UserError, match="no image without target classes"):
        boxes.read_boxes(tmp_path, target_classes=["dog"])
    (tmp_path / "boxes.json").write_text('{"images": []}')
    with pytest.raises(UserError, match="not in COCO's form"):
        boxes.read_boxes(tmp_path, target_classes=[])
