"""Boxes of objects read from COCO files and VOC's XML files."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.boxes.annotations import read_class_boxes, read_coco
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


BOX = {"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4]}
IMAGES = [{"id": 1, "file_name": "a.jpg"}]
REFUSED = {
    "a list": ([], "not in COCO format"),
    "name is no text": ({"categories": [{"id": 2, "name": 7}]}, "at 7, which is not a text"),
    "no file name": ({"images": [{"id": 1, "file_name": None}]}, "at None, which is not a text"),
    "unknown image": ({"annotations": [BOX, BOX | {"image_id": 9}]}, r"at 9 in annotations\[1\]"),
    "three sides": ({"annotations": [BOX | {"bbox": [1, 2, 3]}]}, r"in annotations\[0\]"),
    "sides as text": ({"annotations": [BOX | {"bbox": "1234"}]}, r"in annotations\[0\]"),
    "NaN": ({"annotations": [BOX | {"bbox": [1, 2, float("nan"), 4]}]}, r"in annotations\[0\]"),
    "infinity": ({"annotations": [BOX | {"bbox": [1, 2, 1e999, 4]}]}, r"in annotations\[0\]"),
    "beyond a float": ({"annotations": [BOX | {"bbox": [10**400, 2, 3, 4]}]}, r"annotations\[0\]"),
    "one id twice": ({"images": IMAGES * 2}, "several images have the id 1; keep one of them"),
}


@pytest.mark.parametrize("change, match", REFUSED.values(), ids=REFUSED)
def test_coco_files_that_are_refused(tmp_path, change, match):
    coco = {"images": IMAGES, "categories": [{"id": 2, "name": "cat"}], "annotations": [BOX]}
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(coco))
    assert read_coco(path) == [("a.jpg", [("cat", (1, 2, 3, 4))])]
    path.write_text(json.dumps(coco | change if isinstance(change, dict) else change))
    with pytest.raises(UserError, match=rf"boxes\.json: .*{match}"):
        read_coco(path)


@pytest.mark.parametrize("content, match", [
    (b"", "is not valid JSON"),
    (b'{"images": [', "is not valid JSON"),
    (b'{"images": [1' + b"0" * 5000 + b"]}", "is not valid JSON"),
    (b"[" * 100_000, "is not valid JSON"),
    ('{"images": "é"}'.encode("latin-1"), r"is not UTF-8 \(line 1\)"),
    ("{}".encode("utf-16"), r"is not UTF-8"),
    (None, r"cannot be read \(Is a directory\)"),
])  # fmt: skip
def test_files_that_are_no_json(tmp_path, content, match):
    path = tmp_path / "boxes.json"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(UserError, match=rf"boxes\.json: {match}"):
        read_coco(path)


SCALAR = st.one_of(
    st.none(), st.booleans(), st.integers(0, 2), st.just(10**400), st.floats(), st.text(max_size=3)
)
NUMBER = st.one_of(st.integers(-5, 50), st.floats(), st.just(10**400))
KEYS = st.sampled_from([
    "images", "categories", "annotations", "id", "name", "file_name", "image_id", "category_id",
    "bbox",
])  # fmt: skip
JSON = st.recursive(
    SCALAR, lambda v: st.lists(v, max_size=3) | st.dictionaries(KEYS, v, max_size=4), max_leaves=8
)
ODD = st.one_of(SCALAR, JSON)


def objects_of(**fields):
    """Objects with these fields, most of them as they should be; a field may be odd or missing."""
    return st.lists(
        st.one_of(st.fixed_dictionaries(fields), st.fixed_dictionaries({}, optional=fields), ODD),
        max_size=3,
    )


KEY = st.integers(0, 2)
COCO = st.fixed_dictionaries({
    "images": objects_of(id=KEY, file_name=st.one_of(st.text(max_size=4), ODD)),
    "categories": objects_of(id=KEY, name=st.one_of(st.sampled_from(["cat", "tv"]), ODD)),
    "annotations": objects_of(
        image_id=KEY, category_id=KEY, bbox=st.one_of(st.lists(NUMBER, min_size=4, max_size=4), ODD)
    ),
})  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=30), *(x.map(lambda v: json.dumps(v).encode())
                                           for x in (JSON, COCO))))  # fmt: skip
def test_any_bytes_are_boxes_or_an_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(content)
    try:
        images = read_coco(path)
    except UserError as e:
        assert str(e).startswith(str(path)) and "\n" not in str(e)
        return
    for name, objects in images:
        assert isinstance(name, str)
        for class_name, box in objects:
            assert isinstance(class_name, str) and all(isinstance(side, int) for side in box)
            assert min(box[2:]) >= 1


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
    (folder / "a.xml").write_bytes(b"<annotation>caf\xe9</annotation>")
    with pytest.raises(UserError, match=r"a\.xml: is not UTF-8"):
        read_class_boxes(folder, [sample("a", "cat")], CLASSES)
    write_xml(folder, "a", ("cat", "inf", 1, 2, 2))
    with pytest.raises(UserError, match=r"a\.xml: an object has no bndbox"):
        read_class_boxes(folder, [sample("a", "cat")], CLASSES)
    (folder / "a.xml").write_text("<annotation><object><name>cat</name></object></annotation>")
    with pytest.raises(UserError, match=r"a\.xml: an object has no bndbox"):
        read_class_boxes(folder, [sample("a", "cat")], CLASSES)
