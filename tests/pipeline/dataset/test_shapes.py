"""The generated set: deterministic, and with the traps it promises."""

import cv2
import numpy as np
import pytest

from pipeline.boxes.annotations import read_coco
from pipeline.core import formats
from pipeline.core.arrays import VOID
from pipeline.core.layout import Layout
from pipeline.dataset import shapes
from pipeline.dataset.config import ShapesData
from pipeline.dataset.shapes import MIN_SEEN_PX
from pipeline.guide.rules import components
from stages import generate


@pytest.fixture(scope="module")
def scenes():
    return list(shapes.labelled(120, size_px=160, random_seed=0, part=0))


def test_same_seed_same_bytes_other_part_other_images():
    one, two, val = (
        next(iter(shapes.labelled(1, size_px=96, random_seed=3, part=part))) for part in (0, 0, 1)
    )
    assert (one.image == two.image).all() and (one.label == two.label).all()
    assert (one.image != val.image).any()


def test_tags_are_what_the_label_shows(scenes):
    for s in scenes:
        shown = {shapes.CLASSES[i - 1] for i in np.unique(s.label) if 0 < i < VOID}
        assert shown == set(s.tags)
        assert s.image.shape == (160, 160, 3) and s.label.shape == (160, 160)


def test_several_classes_per_image_and_every_class(scenes):
    assert sum(len(s.tags) > 1 for s in scenes) > 20
    assert {t for s in scenes for t in s.tags} == set(shapes.CLASSES)


def test_void_borders_around_objects(scenes):
    for s in scenes:
        inside = (s.label > 0) & (s.label < VOID)
        touches_background = inside[:, :-1] & (s.label[:, 1:] == 0)
        assert not touches_background.any()


def test_objects_of_different_classes_touch(scenes):
    """Their union is one component: saliency alone cannot tell them apart."""
    touching = 0
    for s in scenes:
        ids = components(s.label > 0)
        for i in range(1, ids.max() + 1):
            found = set(np.unique(s.label[ids == i])) - {0, VOID}
            touching += len(found) > 1
    assert touching > 10


def test_distractors_are_boxed_but_background(scenes):
    boxed = [(s, kind, box) for s in scenes for kind, box in s.boxes if kind in shapes.OTHERS]
    assert len(boxed) > 10
    share = [(s.label[y : y + h, x : x + w] == 0).mean() for s, _, (x, y, w, h) in boxed]
    assert np.median(share) > 0.6


def test_some_objects_are_small_and_faint(scenes):
    contrast = []
    for s in scenes:
        ids = components((s.label > 0) & (s.label < VOID), min_area_px=MIN_SEEN_PX)
        for i in range(1, ids.max() + 1):
            inside = (ids == i).astype(np.uint8)
            ring = (cv2.dilate(inside, np.ones((15, 15))) > 0) & (s.label == 0)
            near = np.median(s.image[inside > 0], 0) - np.median(s.image[ring], 0)
            contrast.append((np.abs(near).max(), inside.mean()))
    assert sum(c < 45 and area < 0.06 for c, area in contrast) >= 5


def test_a_train_always_stands_on_rails(scenes):
    """The trap: rails are grey-white pixels that occur with no other class."""
    rail = np.array((200, 200, 210))
    with_rails = [(np.abs(s.image.astype(int) - rail).max(2) < 40).mean(1).max() > 0.35
                  for s in scenes]  # fmt: skip
    trains = ["train" in s.tags for s in scenes]
    assert np.mean([r for r, t in zip(with_rails, trains, strict=True) if t]) > 0.8
    assert np.mean([r for r, t in zip(with_rails, trains, strict=True) if not t]) < 0.3


def test_boxed_set_holds_no_listed_class():
    for s in shapes.boxed(20, size_px=96, random_seed=0):
        assert {kind for kind, _ in s.boxes} <= set(shapes.OTHERS)
        for _, (x, y, w, h) in s.boxes:
            assert 0 <= x < 96 and 0 <= y < 96 and w > 0 and h > 0


def test_the_generated_set_has_boxes_of_its_tagged_objects(tmp_path):
    layout = Layout(tmp_path)
    generate.run(layout, options=ShapesData(train=6, val=2, boxed=2, size_px=64), random_seed=0)
    boxes = dict(read_coco(layout.shapes / "boxes.json"))
    rows = formats.read_table(layout.shapes / "tags.csv", columns=("id", "tags"))
    assert list(boxes) == [f"{row['id']}.jpg" for row in rows] and len(rows) == 8
    for row in rows:
        objects = boxes[f"{row['id']}.jpg"]
        assert {kind for kind, _ in objects} == set(row["tags"].split())
        label, within = formats.read_label(layout.shapes / f"masks/{row['id']}.png"), 0
        for kind, (x, y, w, h) in objects:
            within += (label[y : y + h, x : x + w] == shapes.CLASSES.index(kind) + 1).any()
        assert within == len(objects)
