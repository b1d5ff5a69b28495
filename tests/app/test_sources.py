"""The files that `predict` reads: folders, globs, lists, standard input."""

import io
import os

import pytest

from app import predict, sources
from app.sources import Source
from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.inference.sizes import Photo
from tests.conftest import photo


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GUIDELABEL_WORKERS", "1")


def touch(*names):
    for name in names:
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        open(name, "w").close()


def find(*items, typed=b""):
    found = sources.find(list(items), standard_input=io.BytesIO(typed))
    return {source.id: str(source.path) for source in found}


def test_a_folder_counts_as_the_images_in_it_and_in_its_subfolders():
    touch("in/b.JPG", "in/a.png", "in/c.txt", "in/sub/deep/d.webp", "in/._a.png", "in/.x/e.png")
    assert find("in") == {
        "a": "in/a.png", "b": "in/b.JPG", "sub/deep/d": "in/sub/deep/d.webp"
    }  # fmt: skip
    touch("empty/c.txt")
    with pytest.raises(UserError, match=r"^empty: holds no image \(\.jpg, "):
        find("empty")


def test_results_of_predict_below_a_folder_are_no_photographs():
    touch("in/a.png", "in/masks/a.png", f"in/masks/{predict.RECORD}")
    assert find("in") == {"a": "in/a.png"}
    assert find("in/masks") == {"a": "in/masks/a.png"}  # if a person asks for it


def test_a_folder_that_cannot_be_read_is_one_line(monkeypatch):
    def refuse(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    touch("in/a.png")
    monkeypatch.setattr(os, "scandir", refuse)  # root may read every folder
    with pytest.raises(UserError, match=r"^in: cannot be read \(Permission denied\); choose"):
        find("in")


def test_a_glob_keeps_the_path_below_its_part_without_wildcards():
    touch("in/cat/1.png", "in/dog/1.png", "in/dog/n.txt", "in/dog/more/2.jpg", "in/dog/v.mp4")
    assert find("in/*/*") == {
        "cat/1": "in/cat/1.png", "dog/1": "in/dog/1.png", "dog/v": "in/dog/v.mp4"
    }  # fmt: skip
    assert find("in/**/2.*") == {"dog/more/2": "in/dog/more/2.jpg"}
    assert find(f"{os.getcwd()}/in/d?g/1.png").keys() == {"dog/1"}
    with pytest.raises(UserError, match=r"^in/\*\.png: matches no image or video"):
        find("in/*.png")


def test_a_file_whose_name_looks_like_a_glob_is_a_file():
    touch("img[1].png", "img1.png")
    assert find("img[1].png") == {"img[1]": "img[1].png"}


def test_lists_and_standard_input_hold_a_path_on_each_line():
    touch("in/a.png", "in/b b.png", "folder/c.png")
    text = f"in/a.png\r\n\n in/b b.png\nfolder\n{os.getcwd()}/elsewhere/x.jpg\n../y.png\n"
    expected = {
        "in/a": "in/a.png", "in/b b": "in/b b.png", "c": "folder/c.png",
        "x": f"{os.getcwd()}/elsewhere/x.jpg", "y": "../y.png",
    }  # fmt: skip
    with open("list.txt", "w") as f:
        f.write(text)
    assert find("list.txt") == expected
    assert find("-", typed=text.encode()) == expected
    assert find("-", typed=b"caf\xe9.png\n") == {"caf\udce9": "caf\udce9.png"}  # not UTF-8
    with pytest.raises(UserError, match=r"^standard input: holds no path"):
        find("-")
    with pytest.raises(UserError, match=r"^nowhere\.txt: not found"):
        find("nowhere.txt")


def test_a_file_that_is_named_twice_counts_once_and_may_have_any_suffix():
    touch("in/a.png", "photo.raw")
    assert find("in", f"{os.getcwd()}/in/a.png", "photo.raw") == {
        "a": "in/a.png", "photo": "photo.raw"
    }  # fmt: skip


def readable(*paths):
    return sources.readable([Source(path.stem, path) for path in paths])


def test_a_path_that_cannot_exist_is_skipped_with_a_message(tmp_path):
    photos, (missing, too_long) = readable(tmp_path / "nowhere.png", tmp_path / ("x" * 300))
    assert not photos and missing == f"{tmp_path}/nowhere.png: not found"
    assert "xx: file name too long; shorten it to" in too_long


def test_bad_images_and_repeated_names_give_a_message_each(tmp_path):
    photo(tmp_path / "a.png", size=(40, 30))
    photo(tmp_path / "more/a.png", size=(20, 10))
    (tmp_path / "b.png").write_bytes(b"no image")
    paths = [tmp_path / "a.png", tmp_path / "b.png", tmp_path / "more/a.png"]
    (photo_read,), (bad, repeated) = readable(*paths)
    assert photo_read == Photo("a", tmp_path / "a.png", 30, 40)
    assert "b.png: cannot be decoded" in bad
    assert f"{tmp_path / 'more/a.png'}: another image is already called 'a'" in repeated


def test_a_name_that_is_too_long_for_its_results_gives_a_message(tmp_path):
    paths = [tmp_path / f"{'q' * length}.png" for length in (238, 239)]
    paths += [tmp_path / f"{'é' * 119}{more}.png" for more in ("", "x")]  # 238 and 239 bytes
    for path in paths:
        photo(path)
    photos, skipped = readable(*paths)
    assert [p.image for p in photos] == paths[::2]
    assert skipped == [f"{p}: file name too long; shorten it to 238 bytes" for p in paths[1::2]]
    endings = (*predict.Options(probabilities=True).endings, ".png.part", "_maps.part.jpg")
    (tmp_path / f"{photos[0].id}{max(endings, key=len)}").touch()  # fits the file system
    formats.write_image(tmp_path / f"{photos[1].id}_overlay.jpg", formats.read_image(paths[0]))
