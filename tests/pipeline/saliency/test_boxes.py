import json

import numpy as np
import pytest

from pipeline.core.arrays import VOID
from pipeline.core.errors import UserError
from pipeline.saliency import boxes


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
    assert label.dtype == np.uint8


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


def test_a_mask_that_fills_just_enough_is_believed(monkeypatch):
    half = np.array([[False, True, False, False]])
    monkeypatch.setattr(boxes, "grabcut", lambda *args, **kw: half)
    image = np.zeros((1, 4, 3), np.uint8)
    how = {"iterations": 1, "min_fill": 0.5, "fallback": "box"}
    assert boxes.masks_from_boxes(image, [(0, 0, 2, 1)], **how).tolist() == [[0, 1, 0, 0]]
    assert boxes.masks_from_boxes(image, [(0, 0, 3, 1)], **how).tolist() == [[1, 1, 1, 0]]
    void = np.full((1, 4), VOID, np.uint8)
    found = boxes.denoise(half, void, [(0, 0, 2, 1)], min_fill=0.5)
    assert found.tolist() == [[0, 1, 0, 0]]
    found = boxes.denoise(half, void, [(0, 0, 3, 1)], min_fill=0.5)
    assert found.tolist() == [[VOID, VOID, VOID, 0]]


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


def coco(tmp_path, names, bbox=(1.2, 2.0, 3.4, 0.2)):
    content = {
        "images": [{"id": i, "file_name": f"{n}.jpg"} for i, n in enumerate(names)],
        "categories": [{"id": i, "name": n} for i, n in enumerate(names)],
        "annotations": [
            {"image_id": i, "category_id": i, "bbox": bbox} for i, _ in enumerate(names)
        ],
    }
    (tmp_path / "boxes.json").write_text(json.dumps(content))


def test_target_classes_are_left_out_under_either_name(tmp_path):
    coco(tmp_path, ["zebra", "dog", "couch", "tv"])
    kept, left_out = boxes.read_boxes(tmp_path, target_classes=["dog", "sofa"])
    assert [b.image for b in kept] == [tmp_path / "images" / f"{n}.jpg" for n in ("zebra", "tv")]
    assert left_out == 2
    assert kept[0].boxes == ((1, 2, 3, 1),)
    assert boxes.read_boxes(tmp_path, target_classes=["tv", "zebra"])[1] == 2


def test_a_box_is_at_least_a_pixel_wide_and_high(tmp_path):
    coco(tmp_path, ["zebra"], bbox=(2.6, 3.4, 0.3, 0.4))
    (tmp_path / boxes.EXCLUDE).touch()
    assert boxes.read_boxes(tmp_path, target_classes=[])[0][0].boxes == ((3, 3, 1, 1),)


def test_every_class_that_coco_names_otherwise_than_voc_is_left_out(tmp_path):
    coco(tmp_path, ["zebra", "airplane", "motorcycle", "couch", "tv", "dining table",
                    "potted plant"])  # fmt: skip
    voc = ["aeroplane", "motorbike", "sofa", "tvmonitor", "diningtable", "pottedplant"]
    kept, left_out = boxes.read_boxes(tmp_path, target_classes=voc)
    assert [b.image.stem for b in kept] == ["zebra"] and left_out == 6


@pytest.mark.parametrize("factor, expected", [
    (2, (20, 8, 6, 2)), (0.4, (4, 2, 1, 1)), (0.1, (1, 0, 1, 1)),
])  # fmt: skip
def test_a_scaled_box_keeps_a_pixel(factor, expected):
    assert boxes.scaled((10, 4, 3, 1), factor) == expected


@pytest.mark.parametrize("box, rows, columns", [
    ((2, 1, 3, 2), (1, 3), (2, 5)),
    ((-2, -1, 5, 3), (0, 2), (0, 3)),
    ((6, 4, 50, 50), (4, 6), (6, 8)),
    ((50, 2, 3, 3), (2, 5), (7, 8)),
    ((2, 50, 3, 3), (5, 6), (2, 5)),
    ((-9, -9, 4, 4), (0, 1), (0, 1)),
])  # fmt: skip
def test_a_box_that_leaves_the_image_is_cut(box, rows, columns):
    """One that lies outside keeps the pixel nearest to it."""
    before = np.zeros((6, 8), np.uint8)
    found = boxes.denoise(np.ones((6, 8), bool), before, [box], min_fill=0)
    expected = np.zeros((6, 8), np.uint8)
    expected[slice(*rows), slice(*columns)] = 1
    assert (found == expected).all()


def test_nothing_left_and_wrong_form_are_said(tmp_path):
    coco(tmp_path, ["dog"])
    with pytest.raises(UserError, match="no image is left"):
        boxes.read_boxes(tmp_path, target_classes=["dog"])
    (tmp_path / "boxes.json").write_text('{"images": []}')
    with pytest.raises(UserError, match="not in COCO format"):
        boxes.read_boxes(tmp_path, target_classes=[])
