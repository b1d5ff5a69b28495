"""Tags from the files of other tools: small files as the tools write them, and hostile ones."""

import json
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.tag_sources import coco, cvat, folders, label_studio, readers, table, tagged
from pipeline.core.errors import UserError

COCO = {
    "info": {"year": 2024, "version": "1.0"},
    "licenses": [],
    "images": [
        {"id": 7, "width": 640, "height": 480, "file_name": "a/dog 1.jpg", "license": 0},
        {"id": 9, "width": 640, "height": 480, "file_name": "cat.jpg", "license": 0},
        {"id": 10, "width": 640, "height": 480, "file_name": "empty.jpg", "license": 0},
    ],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 18, "bbox": [1, 2, 30, 40], "iscrowd": 0},
        {"id": 2, "image_id": 7, "category_id": 23, "bbox": [1, 2, 30, 40], "iscrowd": 0},
        {"id": 3, "image_id": 7, "category_id": 18, "bbox": [9, 2, 30, 40], "iscrowd": 0},
        {"id": 4, "image_id": 9, "category_id": 17, "segmentation": [[1, 1, 2, 2, 3, 1]]},
        {"id": 5, "image_id": 99, "category_id": 17, "bbox": [1, 2, 3, 4]},
        {"id": 6, "image_id": 9, "category_id": 1000, "bbox": [1, 2, 3, 4]},
    ],
    "categories": [
        {"id": 17, "name": "cat", "supercategory": "animal"},
        {"id": 18, "name": "dog", "supercategory": "animal"},
        {"id": 23, "name": "polar bear", "supercategory": "animal"},
    ],
}


def choice(*names, **more):
    value = {"choices": list(names)}
    return {
        "id": "x1", "type": "choices", "from_name": "kind", "to_name": "image", "value": value,
        "origin": "manual",
    } | more  # fmt: skip


def annotation(*results, **more):
    return {"id": 1, "completed_by": 1, "result": list(results), "was_cancelled": False} | more


BOX = {
    "type": "rectanglelabels", "from_name": "label", "to_name": "image", "image_rotation": 0,
    "original_width": 600, "original_height": 403,
    "value": {"x": 1.5, "y": 2, "width": 9, "height": 9, "rectanglelabels": ["polar bear"]},
}  # fmt: skip
TASKS = [
    {
        "id": 1,
        "data": {"note": "first", "image": "/data/upload/1/3fa2c1d8-dog.jpg"},
        "annotations": [annotation(choice("dog"), BOX), annotation(choice("dog", "cat"))],
        "predictions": [],
    },
    {
        "id": 2,
        "data": {"image": "https://bucket.s3.example.org/cat.jpg?X-Amz-Date=2024"},
        "annotations": [annotation(choice("cat")), annotation(choice("dog"), was_cancelled=True)],
    },
    {"id": 3, "data": {"image": "/data/local-files/?d=a%2Fb.png"}, "annotations": []},
    {"id": 4, "data": {"text": "no image"}, "annotations": [annotation(choice("dog"))]},
]
CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><id>1</id><labels><label><name>dog</name></label></labels></task></meta>
  <image id="0" name="a/dog 1.jpg" subset="Train" task_id="1" width="640" height="480">
    <tag label="dog" source="manual"><attribute name="age">old</attribute></tag>
    <tag label="polar bear" source="manual"></tag>
    <box label="cat" source="manual" occluded="0" xtl="1.0" ytl="2.0" xbr="9.0" ybr="9.0"></box>
  </image>
  <image id="1" name="none.jpg" width="640" height="480">
  </image>
  <image id="2" width="640" height="480"><tag label="dog"/></image>
</annotations>
"""
TABLES = {
    "as the chain reads it": "id,tags,split\na,dog cat,train\nb,,val\n",
    "semicolons, names of other tools": "\ufefffilename;Label;split\na;dog,cat;Train\nb;;val\n",
    "tabs and bars": "image\tlabels\tsplit\na\tdog|cat\ttrain\nb\t\tval\n",
    "a line for each tag": "split,file,class\ntrain,a,dog\ntrain,a,cat\nval,b,\n",
}


def shown(tags):
    return {row.image: row.tags for row in tags.rows}


def write(folder, name, content):
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_coco_gives_the_categories_of_each_image(tmp_path):
    tags = coco.read(write(tmp_path, "a.json", COCO))
    assert shown(tags) == {
        "a/dog 1.jpg": ("dog", "polar_bear"), "cat.jpg": ("cat",), "empty.jpg": (),
    }  # fmt: skip
    assert tags.dropped == {coco.NO_IMAGE: 1, coco.NO_CATEGORY: 1}


def test_label_studio_gives_choices_and_labels_of_all_annotators(tmp_path):
    tags = label_studio.read(write(tmp_path, "a.json", TASKS))
    assert shown(tags) == {
        "/data/upload/1/3fa2c1d8-dog.jpg": ("dog", "polar_bear", "cat"),
        "https://bucket.s3.example.org/cat.jpg?X-Amz-Date=2024": ("cat",),
    }
    assert tags.dropped == {
        label_studio.NOT_ANNOTATED: 1, label_studio.SKIPPED: 1, label_studio.NO_IMAGE: 1,
    }  # fmt: skip


def test_cvat_gives_image_tags_and_labels_of_shapes(tmp_path):
    tags = cvat.read(write(tmp_path, "annotations.xml", CVAT))
    assert shown(tags) == {"a/dog 1.jpg": ("dog", "polar_bear", "cat"), "none.jpg": ()}
    assert [row.split for row in tags.rows] == ["train", ""]
    assert tags.dropped == {cvat.NO_NAME: 1}


@pytest.mark.parametrize("content", TABLES.values(), ids=TABLES)
def test_a_table_may_have_any_of_these_forms(tmp_path, content):
    tags = table.read(write(tmp_path, "a.csv", content))
    assert shown(tags) == {"a": ("dog", "cat"), "b": ()}
    assert [row.split for row in tags.rows] == ["train", "val"]


def test_a_table_counts_lines_without_an_image_and_joined_lines(tmp_path):
    tags = table.read(write(tmp_path, "a.csv", "id,tags\na,dog\n,cat\na,cat\n"))
    assert shown(tags) == {"a": ("dog", "cat")}
    assert tags.dropped == {table.NO_IMAGE: 1, tagged.NAMED_TWICE: 1}


def test_the_folder_of_an_image_is_its_tag():
    images = ["dog/x.jpg", "polar bear/2020/y.jpg", "z.jpg"]
    tags = folders.tags_of_folders(images)
    assert shown(tags) == {"dog/x.jpg": ("dog",), "polar bear/2020/y.jpg": ("polar_bear",)}
    assert tags.dropped == {folders.NO_FOLDER: 1}


def test_folders_of_splits_are_no_tags():
    tags = folders.tags_of_folders(["train/dog/x.jpg", "valid/cat/y.jpg", "train/z.jpg"])
    assert [(r.image, r.tags, r.split) for r in tags.rows] == [
        ("train/dog/x.jpg", ("dog",), "train"), ("valid/cat/y.jpg", ("cat",), "val"),
    ]  # fmt: skip
    assert tags.dropped == {folders.NO_FOLDER: 1}
    beside = folders.tags_of_folders(["train/x.jpg", "bus/y.jpg"])  # a train is a class here
    assert shown(beside) == {"train/x.jpg": ("train",), "bus/y.jpg": ("bus",)}


def test_a_copy_in_another_class_folder_adds_its_tag():
    tags = folders.tags_of_folders(["cat/x.jpg", "dog/x.jpg"], {"dog/x.jpg": "cat/x.jpg"})
    assert shown(tags) == {"cat/x.jpg": ("cat", "dog")}
    assert tags.dropped == {folders.COPIES: 1}


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.json", COCO, "coco"), ("b.json", TASKS, "labelstudio"), ("c.xml", CVAT, "cvat"),
        ("d.csv", "id,tags\n", "csv"), ("e.TSV", "id\ttags\n", "csv"),
    ],
)  # fmt: skip
def test_the_reader_is_detected(tmp_path, name, content, kind):
    assert readers.detect(write(tmp_path, name, content)) == kind


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", {"a": 1}, "neither COCO"), ("a.json", "[", "not valid JSON"),
        ("a.zip", "", "unpack it"), ("a.doc", "", "add --tags-from csv|coco|labelstudio|cvat"),
    ],
)  # fmt: skip
def test_other_files_are_refused(tmp_path, name, content, message):
    with pytest.raises(UserError, match=message.replace("|", r"\|")):
        readers.detect(write(tmp_path, name, content))
    with pytest.raises(UserError, match=r"none\.csv: not found; give the file"):
        readers.detect(tmp_path / "none.csv")


HOSTILE = {
    "coco of a list": (coco.read, [], "not in COCO format"),
    "coco without annotations": (coco.read, {"images": [], "categories": []}, "'annotations'"),
    "coco with an object as id": (
        coco.read, COCO | {"categories": [{"id": {}, "name": "dog"}]}, "not in COCO format",
    ),
    "coco with a number as name": (
        coco.read, COCO | {"categories": [{"id": 1, "name": 3}]}, "not in COCO format",
    ),
    "coco with a list as file": (
        coco.read, COCO | {"images": [{"id": 1, "file_name": []}]}, "which is not a text",
    ),
    "nested too deep": (coco.read, "[" * 200_000, "not valid JSON"),
    "JSON-MIN": (label_studio.read, [{"image": "a.jpg", "choice": "dog"}], "not JSON-MIN"),
    "choices in one text": (
        label_studio.read,
        [{"data": {"image": "a.jpg"}, "annotations": [annotation({"value": {"choices": "dog"}})]}],
        "'dog', which is not a list",
    ),
    "video of CVAT": (cvat.read, "<annotations><track/></annotations>", "CVAT for images 1.1"),
    "entities": (
        cvat.read, '<!DOCTYPE a [<!ENTITY b "c">]><annotations/>', "has a document type",
    ),
    "no column for the image": (table.read, "a,tags\n1,2\n", r"names no column .*'a,tags'"),
    "a split that is unknown": (
        table.read, "id,tags,split\na,dog,training\n", "line 2: split training: must be train",
    ),
    "an empty table": (table.read, "", "names no column"),
}  # fmt: skip


@pytest.mark.parametrize(("read", "content", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_ends_in_one_line(tmp_path, read, content, message):
    path = write(tmp_path, "file", content)
    with pytest.raises(UserError, match=message) as error:
        read(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


WORDS = st.sampled_from(
    ["images", "id", "file_name", "annotations", "categories", "name", "data", "result", "value",
     "choices", "image_id", "category_id", "a.jpg"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=30,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(JSON)
def test_no_json_ends_in_a_traceback(tmp_path, content):
    path = write(tmp_path, "file.json", content)
    for read in (coco.read, label_studio.read, readers.detect):
        try:
            tags = read(path)
        except UserError:
            continue
        if read is not readers.detect:
            assert isinstance(tags.dropped, Counter)
