"""Masks and images as people have them: each is read, counted in a note, or refused."""

import os
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from PIL import Image

from pipeline.core import formats
from pipeline.core.arrays import VOID
from pipeline.core.errors import UserError
from pipeline.core.params import section
from pipeline.dataset import checks, masks, sources
from pipeline.dataset.config import Data
from pipeline.dataset.entries import Entry
from tests.conftest import photo
from tests.pipeline.core.test_decoding import mutated

SIZE = (30, 40)
HALF = np.zeros(SIZE, np.uint8)
HALF[:, 20:] = VOID


def check(folder_set, mask, *, tags=("dog",)):
    """Check image p0 with another mask, which replaces that in masks/."""
    path = folder_set / "masks/p0.png"
    if isinstance(mask, Image.Image):
        mask.save(path)
    else:
        formats.write_label(path, mask)
    entry = Entry("p0", folder_set / "images/p0.png", "train", tags, path, ("cat", "dog"))
    return checks.check(entry, ("cat", "dog"))


def read(params):
    return sources.read(section(params, "data", Data))


def refused(params, match):
    with pytest.raises(UserError, match=match):
        read(params)


# --- what a mask holds


@pytest.mark.parametrize("as_saved", [
    lambda label: label,
    Image.fromarray,
    lambda label: Image.fromarray(label).convert("1"),
])  # fmt: skip
def test_255_is_the_only_tag_if_a_mask_has_no_other_index(folder_set, as_saved):
    checked = check(folder_set, as_saved(HALF))
    assert checked.label.tolist() == np.where(HALF, 2, 0).tolist()
    assert checked.notes == (masks.READ_AS_TAG,)


def test_0_and_255_under_two_tags_is_refused(folder_set):
    fix = r"p0\.png: has only 0 and 255, and its image 2 tags, .*; use 2 for dog, 1 for cat, or rem"
    with pytest.raises(UserError, match=fix):
        check(folder_set, HALF, tags=("dog", "cat"))


def test_0_and_255_without_a_tag_is_void(folder_set):
    checked = check(folder_set, HALF, tags=())
    assert (checked.label == HALF).all() and not checked.notes


def test_void_stays_void_beside_a_class(folder_set):
    mask = HALF.copy()
    mask[:, :5] = 2
    checked = check(folder_set, mask)
    assert (checked.label == mask).all() and not checked.notes


@pytest.mark.parametrize("value, tags, notes", [
    (VOID, ("dog",), [masks.ALL_VOID]),
    (VOID, (), [masks.ALL_VOID]),
    (0, ("dog",), [masks.NO_OBJECT]),
    (0, (), []),
    (1, ("dog",), [masks.OTHER_CLASS]),
    (1, (), [masks.OTHER_CLASS]),
    (2, ("dog",), []),
    (2, ("dog", "cat"), []),  # the cat may be hidden
])  # fmt: skip
def test_a_mask_that_disagrees_with_its_tags_is_noted(folder_set, value, tags, notes):
    mask = np.full(SIZE, value, np.uint8)
    checked = check(folder_set, mask, tags=tags)
    assert checked.notes == tuple(notes) and (checked.label == mask).all()


def test_an_index_without_a_class_is_refused_also_in_a_mask_with_255(folder_set):
    with pytest.raises(UserError, match=r"p0\.png: index 128 has no class; use 0 to 2, and 255"):
        check(folder_set, np.where(HALF, np.uint8(128), np.uint8(VOID)))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "I;16"])
def test_a_mask_without_indices_is_refused(folder_set, mode):
    array = np.zeros(SIZE, np.uint16)
    mask = Image.fromarray(array) if mode == "I;16" else Image.new(mode, SIZE[::-1])
    with pytest.raises(UserError, match=f"is a {mode} image without class indices; save it as"):
        check(folder_set, mask)


@settings(max_examples=300, deadline=None)
@given(data=mutated())
def test_damaged_masks_give_a_label_or_a_user_error(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "damaged"
    image, mask = folder / "image.png", folder / "mask.png"
    if not image.exists():
        photo(image, size=(24, 18))
    mask.write_bytes(data)
    entry = Entry("a", image, "train", ("dog",), mask, ("cat", "dog"))
    with mock.patch.dict(os.environ, GUIDELABEL_MAX_MEGAPIXELS="1"):
        try:
            label = checks.check(entry, ("cat", "dog")).label
        except UserError as e:
            assert "mask.png" in str(e)
        else:
            assert label.shape == (18, 24) and set(np.unique(label)) <= {0, 1, 2, VOID}


# --- what an image holds


def noted(path):
    return checks.check(Entry("p0", path, "train", (), None, ()), ()).notes


def test_12_bits_in_a_16_bit_image_are_noted(tmp_path):
    for highest, notes in ((4095, (checks.DARK,)), (9000, ())):
        values = np.linspace(0, highest, 1200).astype(np.uint16).reshape(SIZE)
        Image.fromarray(values).save(tmp_path / "a.png")
        assert noted(tmp_path / "a.png") == notes
    Image.new("L", (3, 3)).save(tmp_path / "a.png")  # a dark image of 8 bits is just dark
    assert noted(tmp_path / "a.png") == ()


def test_an_animation_is_noted(tmp_path):
    frames = [Image.new("RGB", (24, 18), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    assert noted(tmp_path / "a.png") == (checks.FRAMES,)


# --- the files in masks/


def test_masks_of_other_names_are_refused(folder_params, folder_set):
    for path in (folder_set / "masks").iterdir():
        path.rename(path.with_name(f"{path.stem}_mask.png"))
    match = (
        r"masks: none of its 4 files, such as p0_mask\.png, is the mask of an image; save .* p0\."
    )
    refused(folder_params, match)


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_masks_that_are_not_png_are_refused(folder_params, folder_set, suffix):
    for path in (folder_set / "masks").iterdir():
        Image.open(path).convert("L").save(path.with_suffix(suffix))
        path.unlink()
    refused(
        folder_params, rf"masks: none of its 4 files, such as p0\{suffix}.*save each mask as ID.png"
    )


@pytest.mark.parametrize("name", ["mask", "Mask", "Masks"])
def test_a_folder_that_is_not_called_masks_is_refused(folder_params, folder_set, name):
    (folder_set / "masks").rename(folder_set / name)
    if (folder_set / "masks").is_dir():
        pytest.skip("this file system takes both names for the same")
    refused(folder_params, f"{name}: is not read; rename the folder to masks")


def test_masks_in_other_subfolders_than_their_images_are_refused(folder_params, folder_set):
    (folder_set / "masks").rename(folder_set / "train")
    (folder_set / "masks").mkdir()
    (folder_set / "train").rename(folder_set / "masks/train")
    refused(
        folder_params, r"masks: none of its 4 files, such as train/p0\.png, is the mask of an image"
    )


def test_files_that_fit_no_line_are_counted(folder_params, folder_set):
    (folder_set / "masks/p1.png").rename(folder_set / "masks/q.png")
    (folder_set / "masks/p2.jpg").touch()
    for name in (".DS_Store", "._p0.png", "Thumbs.db"):
        (folder_set / "masks" / name).touch()
    found = read(folder_params)
    assert [e.mask is not None for e in found.entries] == [True, False, True, True]
    assert found.left_out["files in masks/ that fit no line of tags.csv"] == 2


def test_masks_of_images_without_a_line_are_counted(folder_params, folder_set):
    (folder_set / "tags.csv").write_text("id,tags\np0,cat\n")
    assert read(folder_params).left_out == {
        "images without a line in tags.csv": 3,
        "files in masks/ that fit no line of tags.csv": 3,
    }


@pytest.mark.parametrize("empty", [True, False])
def test_masks_are_optional(folder_params, folder_set, empty):
    for path in (folder_set / "masks").iterdir():
        path.unlink()
    if not empty:
        (folder_set / "masks").rmdir()
    assert [entry.mask for entry in read(folder_params).entries] == [None] * 4


def test_the_suffix_of_a_mask_may_be_in_capitals(folder_params, folder_set):
    (folder_set / "masks/p0.png").rename(folder_set / "masks/p0.PNG")
    assert read(folder_params).entries[0].mask == folder_set / "masks/p0.PNG"
