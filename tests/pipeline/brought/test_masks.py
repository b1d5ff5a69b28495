"""Masks that the user brings: which are found, how they are read, and which are refused."""

import numpy as np
import pytest
from PIL import Image

from pipeline.brought import masks
from pipeline.core import formats
from pipeline.core.arrays import VOID
from pipeline.core.errors import UserError
from pipeline.core.samples import Sample

CLASSES = ["cat", "dog"]
HALF = np.zeros((3, 4), np.uint8)
HALF[:, 2:] = VOID


def sample(tmp_path, *tags):
    return Sample("a", tmp_path / "a.jpg", "train", tags, 3, 4, "")


def read(tmp_path, mask, *tags):
    path = tmp_path / "a.png"
    if isinstance(mask, Image.Image):
        mask.save(path)
    else:
        formats.write_label(path, mask)
    return masks.read(sample(tmp_path, *tags), path, CLASSES)


def find(folder, *ids, supervision="brought"):
    found, unused = masks.find(folder, ids, supervision=supervision)
    return {key: path.relative_to(folder).as_posix() for key, path in found.items()}, unused


@pytest.mark.parametrize("as_saved", [np.asarray, Image.fromarray], ids=["palette", "grey"])
def test_palette_and_grey_pngs_hold_indices_of_the_class_list(tmp_path, as_saved):
    mask = np.array([[0, 1, 2, VOID]] * 3, np.uint8)
    label, notes = read(tmp_path, as_saved(mask), "cat", "dog")
    assert (label == mask).all() and notes == ()


def test_0_and_255_are_background_and_the_only_tag(tmp_path):
    assert read(tmp_path, Image.fromarray(HALF), "dog")[0].tolist() == [[0, 0, 2, 2]] * 3
    assert read(tmp_path, Image.fromarray(HALF).convert("1"), "cat")[0].max() == 1
    with pytest.raises(UserError, match="has only 0 and 255, and its image 2 tags"):
        read(tmp_path, HALF, "cat", "dog")


@pytest.mark.parametrize("mask, match", [
    (np.full((3, 4), 3, np.uint8), r"a\.png: index 3 has no class; use 0 to 2"),
    (np.zeros((4, 3), np.uint8), r"a\.png: size is 3x4, but its image .* is 4x3"),
    (Image.new("RGB", (4, 3)), r"a\.png: is a RGB image without class indices"),
])  # fmt: skip
def test_a_mask_that_does_not_fit_is_refused(tmp_path, mask, match):
    with pytest.raises(UserError, match=match):
        read(tmp_path, mask, "cat")


def test_masks_are_found_by_the_ids_of_images(tmp_path):
    for name in ("a.png", "b.PNG", "sub/c.png", "other.png", ".hidden.png", "Thumbs.db", "a.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found, unused = find(tmp_path, "a", "b", "sub/c", "d")
    assert found == {"a": "a.png", "b": "b.PNG", "sub/c": "sub/c.png"}
    assert unused == 2  # other.png and a.txt


def test_accents_match_in_both_forms(tmp_path):
    (tmp_path / "e\u0301.png").touch()
    assert find(tmp_path, "\u00e9")[0] == {"\u00e9": "e\u0301.png"}


def test_ids_are_those_of_images_with_blanks_and_through_links(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/b.png").touch()
    (tmp_path / "masks/dogs ").mkdir(parents=True)
    (tmp_path / "masks/dogs /a .png").touch()
    (tmp_path / "masks/link").symlink_to(tmp_path / "elsewhere")
    found, unused = find(tmp_path / "masks", "dogs/a", "link/b")
    assert found == {"dogs/a": "dogs /a .png", "link/b": "link/b.png"} and unused == 0


@pytest.mark.parametrize("supervision, param", masks.PARAMS.items())
def test_a_folder_without_masks_names_the_param(tmp_path, supervision, param):
    with pytest.raises(UserError, match=rf"none: not found; .*correct {param}, or remove"):
        find(tmp_path / "none", "a", supervision=supervision)
    (tmp_path / "x_mask.png").touch()
    match = rf"none of its 1 files, such as x_mask\.png, is .*; save .* ID\.png, .*{param}"
    with pytest.raises(UserError, match=match):
        find(tmp_path, "x", supervision=supervision)
