"""Boxes of objects."""

import json
from pathlib import Path

import pytest

from pipeline.boxes import annotations
from tests.further_inputs.doors import refuses, sample, write


def coco(bbox, file_name="a.png", categories=((1, "cat"),)):
    content = {
        "images": [{"id": 1, "file_name": file_name}],
        "categories": [{"id": key, "name": name} for key, name in categories],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": bbox}],
    }
    write("boxes.json", json.dumps(content))
    return annotations.read_class_boxes(Path("boxes.json"), [sample()], ["cat"])["a"]


@pytest.mark.parametrize("bbox, match", [
    ([1000, 1000, 50, 50], r"image 'a' has 40x30 px, but a box at \[1000, 1000, 50, 50\]; correct"),
    ([0, 0, 4000, 3000], "has 40x30 px, but a box"),
    ([-90, -90, 50, 50], "has 40x30 px, but a box"),
    ([0, 0, 1e300, 1e300], "has 40x30 px, but a box"),
    ([10, 10, -5, -5], r"\[10, 10, -5, -5\], whose width or height is negative, in annotations\[0"),
    ([0.1, 0.2, 0.5, 0.4], "all boxes are at most 1 px large; write px, not fractions"),
    ([True, True, True, True], "all boxes are at most 1 px large"),
], ids=str)  # fmt: skip
def test_boxes_that_no_object_has(bbox, match):
    refuses(lambda: coco(bbox), rf"^boxes\.json: .*{match}")


def test_boxes_whose_border_leaves_the_image_and_paths_of_windows():
    assert coco([-2, 25, 20, 8], file_name="train\\a.png") == ((1, (-2, 25, 20, 8)),)


def test_two_categories_of_one_id():
    box, two = [1, 2, 9, 9], ((1, "cat"), (1, "dog"))
    refuses(lambda: coco(box, categories=two), r"boxes\.json: several categories have the id 1")


def test_boxes_that_are_not_there():
    read = annotations.read_class_boxes
    refuses(
        lambda: read(Path("b.json"), [sample()], ["cat"]), r"b\.json: not found; .* boxes\.path"
    )


def voc(name, *corners):
    sides = "".join(
        f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
    )
    box = f"<object><name>{name}</name><bndbox>{sides}</bndbox></object>"
    write("xml/a.xml", f"<annotation>{box}</annotation>")
    return annotations.read_class_boxes(Path("xml"), [sample()], ["cat"])["a"]


def test_voc_boxes():
    assert voc("\n cat\t", 1, 2, 13, 14) == ((1, (0, 1, 13, 13)),)
    refuses(
        lambda: voc("cat", 30, 20, 5, 5), r"a\.xml: an object has no bndbox .* minimum is above"
    )
    refuses(lambda: voc("cat", 300, 200, 350, 250), "^xml: image 'a' has 40x30 px, but a box")
    refuses(lambda: voc("cat", "1,000", 2, 13, 14), r"a\.xml: an object has no bndbox")
