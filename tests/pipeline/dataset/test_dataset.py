import numpy as np
import pytest

from pipeline.core import formats
from pipeline.core.arrays import VOID
from pipeline.core.errors import UserError
from pipeline.core.params import section
from pipeline.dataset import checks, names, sources, voc
from pipeline.dataset.config import Data


def read(params):
    return sources.read(section(params, "data", Data))


def checked(params):
    found = read(params)
    rows = [checks.check(entry, found.classes) for entry in found.entries]
    return [(row.sample, row.label) for row in rows]


@pytest.fixture
def voc_params(params, devkit):
    params["data"] |= {
        "source": "voc",
        "root": str(devkit),
        "tags": str(devkit / "Annotations"),
        "classes": ["cat", "dog", "person"],
    }
    return params


def test_folder(folder_params):
    rows = checked(folder_params)
    assert [s.id for s, _ in rows] == ["p0", "p1", "p2", "p3"]
    assert [s.tags for s, _ in rows][:2] == [("cat",), ("dog",)]
    assert rows[1][1].max() == 2 and rows[3][0].split == "val"
    assert (rows[0][0].height_px, rows[0][0].width_px) == (30, 40)


def test_folder_without_masks_classes_or_splits(folder_params, folder_set):
    (folder_set / "tags.csv").write_text("id,tags\np0,dog cat\np1,\np2,ant\np3,dog\n")
    for mask in (folder_set / "masks").iterdir():
        mask.unlink()
    folder_params["data"]["classes"] = []
    found = read(folder_params)
    assert found.classes == ("ant", "cat", "dog")
    assert [(s.split, label) for s, label in checked(folder_params)] == [("train", None)] * 4


def test_val_fraction_does_not_depend_on_the_order_of_lines(folder_params, folder_set):
    folder_params["data"]["options"]["folder"]["val_fraction"] = 0.5
    splits = []
    for order in ("p0 p1 p2 p3", "p3 p1 p0 p2"):
        rows = "".join(f"{key},cat\n" for key in order.split())
        (folder_set / "tags.csv").write_text("id,tags\n" + rows)
        splits.append({s.id: s.split for s, _ in checked(folder_params)})
    assert splits[0] == splits[1] and list(splits[0].values()).count("val") == 2


def test_a_voc_tag_is_difficult_if_every_such_object_is(voc_params, devkit):
    objects = [("dog", 1), ("dog", 1), ("person", 1), ("person", 0), ("sofa", 1)]
    said = "".join(
        f"<object><name>{n}</name><difficult>{d}</difficult></object>" for n, d in objects
    )
    (devkit / "Annotations/a.xml").write_text(f"<annotation>{said}</annotation>")
    found = {e.id: e for e in read(voc_params).entries}
    assert found["a"].tags == ("dog", "person") and found["a"].difficult == ("dog",)
    assert found["b"].difficult == ()


def test_voc_remaps_indices_and_voids_other_classes(voc_params):
    rows = {s.id: (s, label) for s, label in checked(voc_params)}
    assert set(rows) == {"a", "b"}  # c holds no class of the list
    sample, label = rows["a"]
    assert sample.tags == ("dog", "person") and sample.split == "train"
    assert set(np.unique(label)) == {0, 2, 3, VOID}  # dog, person, border
    _, label = rows["b"]
    assert label[5, 5] == 1 and label[5, 22] == VOID  # cat; a sofa is not in the list
    assert read(voc_params).left_out == {"images without a class of the list": 1}


def test_voc_tags_from_csv(voc_params, devkit):
    (devkit / "tags.csv").write_text("image_id,tags\na,person sofa\nb,cat\nc,sofa\n")
    voc_params["data"]["tags"] = str(devkit / "tags.csv")
    assert checked(voc_params)[0][0].tags == ("person",)


def test_voc_all_classes(voc_params):
    voc_params["data"]["classes"] = []
    found = read(voc_params)
    assert found.classes == voc.VOC_CLASSES and len(found.entries) == 3


def test_tags_never_come_from_masks(voc_params, devkit):
    (devkit / "Annotations/a.xml").unlink()
    with pytest.raises(UserError, match=r"a\.xml: not found"):
        checked(voc_params)


def fails(params, match):
    with pytest.raises(UserError, match=match):
        checked(params)


def fails_unopened(params, match):
    """What is found before any image is opened."""
    with pytest.raises(UserError, match=match):
        read(params)


def test_mask_of_another_size(folder_params, folder_set):
    formats.write_label(folder_set / "masks/p1.png", np.zeros((30, 41), np.uint8))
    fails(folder_params, r"masks/p1\.png: size is 41x30, but its image .*p1\.png is 40x30")


def test_illegal_index(folder_params, folder_set):
    formats.write_label(folder_set / "masks/p2.png", np.full((30, 40), 3, np.uint8))
    fails(folder_params, r"masks/p2\.png: index 3 has no class; use 0 to 2, and 255")


def test_unknown_tag(folder_params, folder_set):
    (folder_set / "tags.csv").write_text("id,tags\np0,cat\np1,doog\n")
    said = r"tags\.csv: tag 'doog' \(line 3; did you mean 'dog'\?\): not in data\.classes; correct"
    fails_unopened(folder_params, said)


def test_empty_split(folder_params, folder_set):
    (folder_set / "tags.csv").write_text("id,tags,split\np0,cat,train\n")
    assert len(checked(folder_params)) == 1
    (folder_set / "tags.csv").write_text("id,tags,split\np0,cat,val\n")
    fails_unopened(folder_params, "split 'train' has no image")


def test_empty_val_split_of_a_devkit(voc_params):
    voc_params["data"]["classes"] = ["sofa"]
    fails_unopened(voc_params, "split 'val' has no image")


def test_double_id(folder_params, folder_set):
    (folder_set / "tags.csv").write_text("id,tags\np0,cat\np0,dog\n")
    fails_unopened(folder_params, r"tags\.csv: duplicate id 'p0' \(lines 2, 3\); keep one line")


def test_image_missing(folder_params, folder_set):
    (folder_set / "images/p0.png").unlink()
    fails_unopened(folder_params, r"no image in .*images for id 'p0' \(line 2\); add ID with one")


def test_voc_image_missing(voc_params, devkit):
    (devkit / "JPEGImages/a.jpg").unlink()
    fails_unopened(voc_params, r"JPEGImages/a\.jpg: not found; put the image there")


def test_unknown_class_and_missing_list(voc_params, devkit):
    voc_params["data"]["classes"] = ["cat", "unicorn"]
    fails_unopened(voc_params, "'unicorn' is not a VOC class; choose from aeroplane, ")
    voc_params["data"]["classes"] = ["cat"]
    (devkit / "ImageSets/Segmentation/val.txt").unlink()
    fails_unopened(voc_params, r"val\.txt: list not found; set data\.root")


def test_real_devkit_reads(real_data, params):
    params["data"] |= {
        "source": "voc",
        "root": str(real_data / "voc_animals/VOC2012"),
        "tags": str(real_data / "voc_animals/tags.csv"),
        "classes": ["cat", "cow", "dog", "horse", "sheep", "person"],
    }
    found = read(params)
    assert sum(e.split == "train" for e in found.entries) == 1464
    assert sum(e.split == "val" for e in found.entries) == 222
    entry = next(e for e in found.entries if e.id == "2007_000504")
    assert entry.tags == ("cow", "person")
    assert set(np.unique(checks.check(entry, found.classes).label)) <= {0, 2, 6, VOID}


@pytest.mark.parametrize("tags", ["cat dog", "cat, dog", "cat;dog", " cat,  dog "])
def test_tags_may_stand_with_commas(tags):
    assert names.words(tags) == ["cat", "dog"]


def test_the_counts_are_told_in_a_line_each():
    counts = {
        "images": {"train": 3}, "images_per_class": {"train": {"cat": 2, "dog": 1}, "val": {}},
        "left_out": {"duplicates": 2}, "masks": 0, "notes": {}, "repairs": {},
    }  # fmt: skip
    assert checks.describe(counts) == [
        "3 images of train: cat 2, dog 1", "0 masks", "left out: duplicates 2",
    ]  # fmt: skip
