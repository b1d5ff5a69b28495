"""Boxes of objects read from COCO files and VOC's XML files."""

import json
from pathlib import Path

import pytest

from pipeline.boxes.annotations import read_class_boxes
from pipeline.core.errors import UserError
from pipeline.core.samples import Sample

CLASSES = ["cat", "sofa"]


def sample(key, *tags):
    return Sample(key, Path(f"{key}.jpg"), "train", tags, 30, 40, "")


def write_coco(path, objects):
    """A COCO file of `objects`: the name of an image -> its classes and boxes."""
    names = sorted({name for each in objects for name, _ in each[1]})
    content = {
        "images": [{"id": 10 + i, "file_name": name} for i, (name, _) in enumerate(objects)],
        "categories": [{"id": i, "name": name} for i, name in enumerate(names)],
        "annotations": [
            {"image_id": 10 + i, "category_id": names.index(name), "bbox": box}
            for i, (_, each) in enumerate(objects)
            for name, box in each
        ],
    }
    path.write_text(json.dumps(content))
    return path


def write_xml(folder, key, *objects):
    folder.mkdir(exist_ok=True)
    text = ""
    for name, *sides in objects:
        ends = zip(("xmin", "ymin", "xmax", "ymax"), sides, strict=True)
        box = "".join(f"<{end}>{value}</{end}>" for end, value in ends)
        part = "<part><bndbox><xmin>1</xmin></bndbox></part>"
        text += f"<object>{part}<name>{name}</name><bndbox>{box}</bndbox></object>"
    (folder / f"{key}.xml").write_text(f"<annotation>{text}</annotation>")


def test_coco_boxes_get_the_index_of_their_class(tmp_path):
    objects = [
        ("sub/a.png", [("couch", [1, 2, 3.6, 4]), ("dog", [0, 0, 9, 9])]),
        ("b.jpg", [("cat", [5, 6, 7, 8]), ("cat", [0, 0, 1, 1])]),
        ("c.jpg", []),
    ]
    path = write_coco(tmp_path / "boxes.json", objects)
    samples = [sample("a", "sofa"), sample("b", "cat"), sample("c"), sample("not_listed")]
    assert read_class_boxes(path, samples, CLASSES) == {
        "a": ((2, (1, 2, 4, 4)),),  # no box of a class that is not listed
        "b": ((1, (5, 6, 7, 8)), (1, (0, 0, 1, 1))),
        "c": (),
        "not_listed": (),
    }


def test_voc_counts_pixels_from_one_and_to_the_last(tmp_path):
    write_xml(tmp_path / "Annotations", "a", ("sofa", 1, 3, 40, 30), ("dog", 1, 1, 2, 2))
    write_xml(tmp_path / "Annotations", "b", ("cat", "5.2", 6, 5, 6))
    found = read_class_boxes(
        tmp_path / "Annotations", [sample("a", "sofa"), sample("b", "cat")], CLASSES
    )
    assert found == {"a": ((2, (0, 2, 40, 28)),), "b": ((1, (4, 5, 1, 1)),)}


def test_a_tag_without_a_box_is_an_error(tmp_path):
    path = write_coco(tmp_path / "boxes.json", [("a.jpg", [("cat", [1, 2, 3, 4])])])
    with pytest.raises(UserError, match="image 'a' has the tag 'sofa' but no box"):
        read_class_boxes(path, [sample("a", "cat", "sofa")], CLASSES)
    with pytest.raises(UserError, match="image 'b' has the tag 'cat' but no box"):
        read_class_boxes(path, [sample("b", "cat")], CLASSES)


def test_two_images_of_one_id_are_an_error(tmp_path):
    box = [("cat", [1, 2, 3, 4])]
    path = write_coco(tmp_path / "boxes.json", [("x/a.jpg", box), ("y/a.jpg", box)])
    with pytest.raises(UserError, match="two images called 'a'"):
        read_class_boxes(path, [sample("a", "cat")], CLASSES)
    assert read_class_boxes(path, [], CLASSES) == {}


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(UserError, match=r"boxes\.json: not found"):
        read_class_boxes(tmp_path / "boxes.json", [], CLASSES)
    folder = tmp_path / "Annotations"
    folder.mkdir()
    with pytest.raises(UserError, match=r"a\.xml: not found; add it, or set boxes\.path"):
        read_class_boxes(folder, [sample("a", "cat")], CLASSES)
    (folder / "a.xml").write_text("<annotation>")
    with pytest.raises(UserError, match=r"a\.xml: not valid XML"):
        read_class_boxes(folder, [sample("a", "cat")], CLASSES)
    (folder / "a.xml").write_text("<annotation><object><name>cat</name></object></annotation>")
    with pytest.raises(UserError, match=r"a\.xml: an object has no bndbox"):
        read_class_boxes(folder, [sample("a", "cat")], CLASSES)
