"""The input files of `predict` and its record of results, without a network."""

import os

import pytest

from app import predict
from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.inference.sizes import Photo
from tests.conftest import photo


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
    return predict.begin(out, photos, header, predict.Options().endings)


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
