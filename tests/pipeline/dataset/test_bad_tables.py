"""Bad tags, classes, ids and splits. No image is opened before these are reported."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.core.errors import UserError
from pipeline.core.params import section
from pipeline.dataset import names, sources
from pipeline.dataset.config import Data
from tests.conftest import photo


def read(params):
    return sources.read(section(params, "data", Data))


@pytest.fixture
def tags(folder_params, folder_set):
    """Write tags.csv for `folder_set`, whose images are p0 to p3; then read the data set."""

    def write(content, classes=(), **options):
        (folder_set / "tags.csv").write_bytes(
            content.encode() if isinstance(content, str) else content
        )
        folder_params["data"]["classes"] = list(classes)
        folder_params["data"]["options"]["folder"].update(options)
        return read(folder_params)

    return write


ROWS = "p0,dog\np1,cat\np2,\np3,dog\n"
REFUSED = {
    "no tag": ("id,tags\np0,\np1,\n", r"tags\.csv: no image of split 'train' has a tag; write"),
    "no tag in train": (
        "id,tags,split\np0,,train\np1,dog,val\n", r"no image of split 'train' has a tag",
    ),
    "254 classes": (
        "id,tags\np0," + " ".join(f"c{i}" for i in range(254)),
        r"tags\.csv: 254 classes; a label holds at most 253, so merge some",
    ),
    "background": (
        "id,tags\np0,dog\np1,Background\n",
        r"tags\.csv: class 'Background' \(line 3\): the name is reserved; use another",
    ),
    "void": ("id,tags\np0,void\n", r"class 'void' \(line 2\): the name is reserved"),
    "id": ("id,tags\np0,id\n", r"class 'id' \(line 2\): the name is reserved"),
    "capitals": (
        "id,tags\np0,dog\np1,DOG\np2,Dog cat\n",
        r"tags\.csv: classes that look the same: 'DOG' \(line 3\) and 'Dog' \(line 4\) and 'dog' "
        r"\(line 2\); write each class in one way",
    ),
    "zero-width space": (
        "id,tags\np0,dog\np1,dog\u200b\n",
        r"look the same: 'dog' \(line 2\) and 'dog\\u200b' \(line 3\)",
    ),
    "two forms of an accent": ("id,tags\np0,caf\u00e9\np1,cafe\u0301\n", r"look the same"),
    "control character": (
        "id,tags\np0,d\x07g\n", r"class 'd\\x07g' \(line 2\): contains a control character",
    ),
    "quote that closes in a later line": (
        'id,tags\np0,"dog\np1,cat"\np2,dog\n', r"line 2: a field goes on over a line end; close",
    ),
    "empty id": ("id,tags\n,dog\np1,cat\n ,dog\n", r"lines 2, 4: no id; write it, or remove"),
    "duplicate id": (
        "id,tags\np0,dog\np1,cat\np0,dog\n",
        r"duplicate id 'p0' \(lines 2, 4\); keep one line for each id",
    ),
    "duplicate id with a suffix": ("id,tags\np0,dog\np0.png,dog\n", r"duplicate id 'p0'"),
    "header only": ("id,tags\n", r"tags\.csv: has no line below the first; write a line for each"),
    "all val": (
        "id,tags,split\np0,dog,val\np1,cat,val\n",
        r"tags\.csv: split 'train' has no image, as all of them say val; write train in some",
    ),
    "unknown split": (
        "id,tags,split\np0,dog,train\np1,dog,test\n", r"split 'test' \(line 3\): must be train or",
    ),
    "no image": (
        "id,tags\np0,dog\nq1,dog\nq2,\n",
        r"tags\.csv: no image in .*images for id 'q1' \(line 3\), 'q2' \(line 4\); add ID with one "
        r"of the suffixes \.jpg ",
    ),
    "other suffix": ("id,tags\np0.jpg,dog\n", r"id 'p0\.jpg' \(line 2\), though p0\.png exists"),
    "path": ("id,tags\n../images/p0,dog\n", r"for id '\.\./images/p0' \(line 2\)"),
}  # fmt: skip


@pytest.mark.parametrize("content, match", REFUSED.values(), ids=REFUSED)
def test_what_is_refused(tags, content, match):
    with pytest.raises(UserError, match=match) as e:
        tags(content)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("sep", [";", "\t"])
def test_other_separators(tags, sep):
    dataset = tags(f"id{sep}tags\np0{sep}dog cat\np1{sep}\np2{sep}dog,ant\n")
    assert [e.tags for e in dataset.entries] == [("dog", "cat"), (), ("dog", "ant")]
    (kind,) = dataset.repairs
    assert kind == f"tables separated by {'semicolons' if sep == ';' else 'tabs'}"


def test_an_unquoted_semicolon_in_a_table_of_semicolons(tags):
    with pytest.raises(UserError, match=r"line 2: too many fields; put quotes .* semicolons"):
        tags("id;tags\np0;dog;cat\n")


def test_253_classes_fit(tags):
    assert len(tags("id,tags\np0," + " ".join(f"c{i}" for i in range(253))).classes) == 253


def test_unknown_tags_are_named_once_each(tags):
    match = (
        r"tags\.csv: tag 'Dog' \(line 2; did you mean 'dog'\?\), 'zebra' \(line 3\): not in "
        r"data\.classes; correct the tag or add the class"
    )
    with pytest.raises(UserError, match=match):
        tags("id,tags\np0,Dog\np1,zebra\np2,Dog\n", classes=["dog", "cat"])


def test_up_to_twenty_faults_are_named(tags):
    with pytest.raises(UserError, match=r"'q19' \(line 21\), \.\.\. \(37 in all\); add ID"):
        tags("id,tags\n" + "".join(f"q{i},dog\n" for i in range(37)))


def test_repairs_are_counted(tags):
    dataset = tags(f"id,tags\n\np0.png,dog dog \n,,\n{ROWS[7:]}")
    assert [(e.id, e.tags) for e in dataset.entries][:2] == [("p0", ("dog",)), ("p1", ("cat",))]
    assert dataset.repairs == {
        "blank lines skipped": 2,
        "blanks around values removed": 1,
        "ids that differ from their file names": 1,
        "repeated tags removed": 1,
    }
    assert tags("id,tags\n" + ROWS).repairs == {}


def test_all_drawn_for_val(tags):
    with pytest.raises(UserError, match=r"val_fraction: split 'train' .* all 4 are drawn for val"):
        tags("id,tags\n" + ROWS, val_fraction=0.95)


@pytest.mark.parametrize("file, key, image_id", [
    ("cafe\u0301", "caf\u00e9", "cafe\u0301"),  # a zip file from macOS
    ("caf\u00e9", "cafe\u0301", "caf\u00e9"),
    ("q1 ", "q1", "q1"),
    (" q1", "q1", "q1"),
    ("q1.jpg", "q1.jpg", "q1.jpg"),  # q1.jpg.png: its stem has a suffix, too
])  # fmt: skip
def test_ids_that_differ_from_their_file_names(tags, folder_set, file, key, image_id):
    photo(folder_set / f"images/{file}.png")
    (entry, _) = tags(f"id,tags\n{key},dog\np1,cat\n").entries
    assert entry.id == image_id and entry.image.name == f"{file}.png"


def test_a_mask_in_another_unicode_form(tags, folder_set):
    photo(folder_set / "images/cafe\u0301.png")
    (folder_set / "masks/caf\u00e9.png").touch()
    (entry,) = tags("id,tags\ncaf\u00e9,dog\n").entries
    assert entry.mask == folder_set / "masks/caf\u00e9.png"


def test_an_image_of_another_format(tags, folder_set):
    (folder_set / "images/q1.gif").touch()
    match = r"for id 'q1' \(line 2\), though q1\.gif exists; add ID with one of the suffixes \.jpg"
    with pytest.raises(UserError, match=match):
        tags("id,tags\nq1,dog\n")


@pytest.mark.parametrize("file", ["p0.jpg", "p0 .png"])
def test_two_files_with_one_id(tags, folder_set, file):
    photo(folder_set / f"images/{file}")
    with pytest.raises(UserError, match=r"images: duplicate id of the files .*p0.* and .*p0.*; re"):
        tags("id,tags\n" + ROWS)


def test_ids_may_differ_in_capitals(tags, folder_set):
    photo(folder_set / "images/P0.png")
    assert [e.image.name for e in tags("id,tags\np0,dog\nP0,\n").entries] == ["p0.png", "P0.png"]


@pytest.mark.parametrize("folder", ["images", "masks"])
def test_a_file_name_in_latin_1(tags, folder_set, folder):
    name = os.fsencode(folder_set / folder) + b"/caf\xe9.png"
    try:
        os.close(os.open(name, os.O_CREAT))
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    match = rf"{folder}: not a UTF-8 file name: 'caf\\udce9\.png'; rename the file"
    with pytest.raises(UserError, match=match) as e:
        tags("id,tags\n" + ROWS)
    str(e.value).encode()  # so that it can be printed


@pytest.mark.parametrize("stem", ["q" * 239, "é" * 120])
def test_a_long_file_name(tags, folder_set, stem):
    photo(folder_set / f"images/{stem}.png")
    assert len(tags("id,tags\n" + ROWS).entries) == 4  # no line names it
    with pytest.raises(UserError, match=rf"file name too long: .*{stem}\.png; shorten it to 238"):
        tags(f"id,tags\n{stem},dog\n")


def test_a_file_name_of_238_bytes(tags, folder_set):
    photo(folder_set / f"images/{'q' * 238}.png")
    assert len(tags(f"id,tags\n{'q' * 238},dog\n").entries) == 1


def test_a_folder_in_place_of_tags(folder_params, folder_set):
    (folder_set / "tags.csv").unlink()
    (folder_set / "tags.csv").mkdir()
    with pytest.raises(UserError, match=r"tags\.csv: cannot be read \(Is a directory\)"):
        read(folder_params)


@pytest.mark.parametrize("classes, match", [
    (["dog", "background"], r"classes: class 'background': the name is reserved"),
    (["dog", ""], r"class '': write one word, such as polar_bear"),
    (["polar bear"], r"class 'polar bear': write one word, such as polar_bear"),
    (["cat,dog"], r"class 'cat,dog': write one word"),
    (["dog", "Dog"], r"classes that look the same: 'dog' and 'Dog'; write each class in one way"),
    (["dog", "dog"], r"duplicate name 'dog'"),
    ([f"c{i}" for i in range(254)], r"254 classes; a label holds at most 253"),
])  # fmt: skip
def test_classes_in_params(folder_params, classes, match):
    folder_params["data"]["classes"] = classes
    with pytest.raises(UserError, match=f"params.yaml: data: .*{match}"):
        read(folder_params)


def test_a_joiner_inside_a_word_is_kept(tags):
    """Persian writes some words with a zero-width non-joiner."""
    word = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
    assert tags(f"id,tags\np0,{word}\n").classes == (word,)


@pytest.fixture
def voc(params, devkit):
    params["data"] |= {
        "source": "voc", "root": str(devkit), "tags": str(devkit / "tags.csv"), "classes": [],
    }  # fmt: skip
    return params


def test_a_duplicate_id_in_the_tags_of_voc(voc, devkit):
    (devkit / "tags.csv").write_text("image_id,tags\na,dog\nb,cat\nc,sofa\na,cat\n")
    with pytest.raises(UserError, match=r"duplicate id 'a' \(lines 2, 5\)"):
        read(voc)


def test_unknown_tags_of_voc(voc, devkit):
    (devkit / "tags.csv").write_text("image_id,tags\na,doog\nb,cat\nc,couch\n")
    match = r"tag 'doog' \(line 2; did you mean 'dog'\?\), 'couch' \(line 4\S*.*\): not a VOC class"
    with pytest.raises(UserError, match=match):
        read(voc)


@pytest.mark.parametrize("content, match", [
    (b"\n \n", r"val\.txt: names no image; write one id per line"),
    (b"caf\xe9\n", r"val\.txt: is not UTF-8 \(line 1\)"),
    (b"b\na\n", r"duplicate id 'a' in the image lists"),
])  # fmt: skip
def test_image_lists(voc, devkit, content, match):
    (devkit / "tags.csv").write_text("image_id,tags\na,dog\nb,cat\nc,sofa\n")
    (devkit / "ImageSets/Segmentation/val.txt").write_bytes(content)
    with pytest.raises(UserError, match=match):
        read(voc)


def test_xml_in_an_unknown_encoding(voc, devkit):
    voc["data"]["tags"] = str(devkit / "Annotations")
    (devkit / "Annotations/a.xml").write_bytes(b"<a>caf\xe9</a>")
    with pytest.raises(UserError, match=r"a\.xml: is not UTF-8 .*save the file again as UTF-8"):
        read(voc)


CELL = st.text('abcdog,; "\u200b\u0301éE.p0123jpg', max_size=8)
KEY = st.one_of(CELL, st.sampled_from(["p0", "p1", "p2.png", " p3", "P0", ""]))
LINES = st.lists(st.tuples(KEY, CELL, st.sampled_from(["", "train", "val", "x"])), max_size=5)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(LINES, st.booleans(), st.sampled_from([0.0, 0.3, 0.95]))
def test_any_table_is_a_data_set_or_an_error(tags, lines, quoted, fraction):
    cells = [[f'"{c.replace(chr(34), chr(34) * 2)}"' if quoted else c for c in x] for x in lines]
    content = "".join(",".join(line) + "\n" for line in [["id", "tags", "split"], *cells])
    try:
        dataset = tags(content, val_fraction=fraction)
    except UserError:
        return
    assert {e.split for e in dataset.entries} <= {"train", "val"}
    assert any(e.tags for e in dataset.entries if e.split == "train")
    assert len({e.id for e in dataset.entries}) == len(dataset.entries)
    for entry in dataset.entries:
        assert entry.image.exists() and set(entry.tags) <= set(dataset.classes)
        assert len(set(entry.tags)) == len(entry.tags)
    for name in dataset.classes:
        assert names.words(name) == [name]
