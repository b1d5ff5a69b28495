"""MSRA's rectangles become boxes.json, which the saliency network's training set reads."""

import pytest

from app import msra
from pipeline.core.errors import UserError
from pipeline.saliency.boxes import read_boxes
from tests.conftest import photo

FILE = """2

0\\0_1_7.jpg
40 30
2 3 20 13; 4 5 22 15; 0 0 40 30;

1\\1_2_8.jpg
40 30
0 0 10 10;
20 10 40 30;
10 20 20 30;
"""


@pytest.fixture
def root(tmp_path):
    for name in ("0/0_1_7.jpg", "1_2_8.jpg"):  # with MSRA's folders, or without
        photo(tmp_path / "images" / name)
    photo(tmp_path / "images/0/0_1_7.png")  # a mask, as MSRA-B has them
    (tmp_path / "users.txt").write_text(FILE)
    return tmp_path


def test_a_box_surrounds_what_at_least_half_of_the_users_marked(root):
    """The third user marked the whole image, so what either of the others marked has two votes."""
    said = msra.convert([root / "users.txt"], root)
    with pytest.raises(UserError, match=r"exclude\.txt: not found, and this set does not tell"):
        read_boxes(root, target_classes=["dog"])
    (root / "exclude.txt").touch()
    (boxed,), left_out = read_boxes(root, target_classes=["dog"])
    assert boxed.image == root / "images/0/0_1_7.jpg" and left_out == 0
    assert boxed.boxes == ((2, 3, 20, 12),)
    assert "1 images, 1 left out" in said and "exclude.txt" in said


def test_names_sizes_and_rectangles_are_read_on_one_line_or_several(root):
    first, second = msra.read_annotations(root / "users.txt")
    assert (first.name, first.width_px, first.height_px) == ("0\\0_1_7.jpg", 40, 30)
    assert first.rectangles == [(2, 3, 20, 13), (4, 5, 22, 15), (0, 0, 40, 30)]
    assert second.rectangles == [(0, 0, 10, 10), (20, 10, 40, 30), (10, 20, 20, 30)]


def test_half_of_the_users_are_enough_and_one_alone_counts():
    two = msra.Annotated("a.jpg", 40, 30, [(0, 0, 4, 4), (10, 10, 20, 15)])
    assert msra.agreed_box(two) == [0, 0, 20, 15]
    assert msra.agreed_box(msra.Annotated("a.jpg", 40, 30, [(5, 6, 9, 8)])) == [5, 6, 4, 2]


def test_a_rectangle_that_leaves_the_image_is_cut():
    image = msra.Annotated("a.jpg", 40, 30, [(-5, -2, 50, 31)])
    assert msra.agreed_box(image) == [0, 0, 40, 30]


@pytest.mark.parametrize("old, new, said", [
    ("40 30\n2 3", "40 x 30\n2 3", r"users\.txt: line 4: '40 x 30' is not expected"),
    ("2 3 20 13;", "2 3 20;", r"line 5: '2 3 20; 4 5 22 15; 0 0 40 30;' is not expected"),
    ("0\\0_1_7.jpg\n", "", r"line 3: '40 30' is not expected here"),
    ("2\n\n", "3\n\n", r"holds 2 images instead of 3"),
    ("0 0 10 10;\n20 10 40 30;\n10 20 20 30;\n", "", r"holds '1.1_2_8\.jpg' without rectangles"),
    (FILE, "", r"holds 0 images"),
])  # fmt: skip
def test_another_format_is_an_error_that_names_the_line(root, old, new, said):
    assert old in FILE
    (root / "users.txt").write_text(FILE.replace(old, new, 1))
    with pytest.raises(UserError, match=said):
        msra.convert([root / "users.txt"], root)
    assert not (root / "boxes.json").exists()


def test_missing_files_are_named(root):
    with pytest.raises(UserError, match=r"nothing\.txt: not found"):
        msra.read_annotations(root / "nothing.txt")
    (root / "images/1_2_8.jpg").unlink()
    with pytest.raises(UserError, match=r"no image '1_2_8\.jpg'; put MSRA's images there"):
        msra.convert([root / "users.txt"], root)


def test_the_count_may_be_missing(root):
    (root / "users.txt").write_text(FILE.removeprefix("2\n"))
    assert len(msra.read_annotations(root / "users.txt")) == 2
