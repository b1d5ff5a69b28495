"""The input files of `predict` and its record of results, without a network."""

import os

import pytest

from app import predict
from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.inference.whole import Photo
from tests.conftest import photo


def names(paths):
    return [p.name for p in paths]


def test_a_folder_counts_as_its_images_in_order(tmp_path):
    for name in ("b.JPG", "a.png", "c.txt", "sub/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert names(predict.list_images([tmp_path])) == ["a.png", "b.JPG"]
    paths = [tmp_path / "c.txt", tmp_path]  # a file on the command line may have any suffix
    assert names(predict.list_images(paths)) == ["c.txt", "a.png", "b.JPG"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: holds no image"):
        predict.list_images([tmp_path / "empty"])


def test_an_input_folder_that_cannot_be_read_is_one_line(tmp_path, monkeypatch):
    def refuse(folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "iterdir", refuse)  # root may read every folder
    with pytest.raises(UserError, match=rf"^{tmp_path}: cannot be read \(Permission denied\); ch"):
        predict.list_images([tmp_path])


def test_a_path_that_cannot_exist_is_skipped_with_a_message(tmp_path, monkeypatch):
    monkeypatch.setenv("GUIDELABEL_WORKERS", "1")
    paths = predict.list_images([tmp_path / "nowhere.png", tmp_path / ("x" * 300)])
    photos, (missing, too_long) = predict.readable(paths)
    assert not photos and missing == f"{tmp_path}/nowhere.png: not found"
    assert "xx: file name too long; shorten it to" in too_long


def test_bad_images_and_repeated_names_give_a_message_each(tmp_path, monkeypatch):
    monkeypatch.setenv("GUIDELABEL_WORKERS", "1")
    photo(tmp_path / "a.png", size=(40, 30))
    photo(tmp_path / "more/a.png", size=(20, 10))
    (tmp_path / "b.png").write_bytes(b"no image")
    paths = [tmp_path / "a.png", tmp_path / "b.png", tmp_path / "more/a.png"]
    (photo_read,), (bad, repeated) = predict.readable(paths)
    assert photo_read == Photo("a", tmp_path / "a.png", 30, 40)
    assert "b.png: cannot be decoded" in bad
    assert f"{tmp_path / 'more/a.png'}: another image is already called 'a'" in repeated


def test_a_name_that_is_too_long_for_its_results_gives_a_message(tmp_path, monkeypatch):
    monkeypatch.setenv("GUIDELABEL_WORKERS", "1")
    paths = [tmp_path / f"{'q' * length}.png" for length in (238, 239)]
    for path in paths:
        photo(path)
    (photo_read,), (long,) = predict.readable(paths)
    assert photo_read.image == paths[0]
    assert long == f"{paths[1]}: file name too long; shorten it to 238 bytes"
    longest = max((*predict.ENDINGS, ".png.part", "_maps.part.jpg"), key=len)
    (tmp_path / f"{photo_read.id}{longest}").touch()  # fits the file system


@pytest.fixture
def out(tmp_path):
    """A folder with the recorded results of images a and b."""
    for name in ("a", "b"):
        photo(tmp_path / f"photos/{name}.png")
    out = tmp_path / "out"
    assert begin(out, "a", "b") == set()
    for name in ("a.png", "a_overlay.jpg", "b.png", "b_overlay.jpg"):
        (out / name).touch()
    return out


def begin(out, *keys, made_by="x"):
    images = {k: out.parent / f"photos/{k}.png" for k in keys}
    photos = [Photo(k, p, 30, 40) for k, p in images.items()]
    header = {"made_by": made_by, "classes": []}
    return predict.begin(out, photos, header, predict.ENDINGS)


def test_results_of_the_same_image_are_kept_and_others_stay_on_record(out):
    assert begin(out, "a") == {"a"}
    assert formats.read_json(out / predict.RECORD)["files"].keys() == {"a", "b"}
    (out / "b.png").unlink()  # b's overlay is left
    assert begin(out, "a", "b") == {"a"}
    assert not (out / "b_overlay.jpg").exists() and (out / "a.png").exists()


def test_results_of_a_changed_image_are_removed(out):
    image = out.parent / "photos/a.png"
    os.utime(image, ns=(0, 0))
    assert begin(out, "a", "b") == {"b"}
    assert not (out / "a.png").exists() and (out / "b.png").exists()


def test_files_that_are_not_on_record_stay(out):
    photo(out.parent / "photos/c.png")
    (out / "c.png").write_text("drawn by hand")
    with pytest.raises(UserError, match=r"c\.png: was not made by predict; choose another folder"):
        begin(out, "c")
    assert (out / "c.png").read_text() == "drawn by hand"


def test_results_of_another_network_or_a_damaged_record_are_refused(out):
    with pytest.raises(UserError, match="holds results of another network or other params"):
        begin(out, "a", made_by="y")
    (out / predict.RECORD).write_text('{"made_by": "x"}')
    with pytest.raises(UserError, match=rf"{predict.RECORD}: damaged; remove it"):
        begin(out, "a")
