"""The trained segmenter on photographs: `cli.py predict`."""

import os
import shutil

import pytest

from app.predict import RECORD
from pipeline.core import formats
from pipeline.core.layout import Layout

PHOTOS = "data/raw/shapes/images"


def predict(project, *args, check=True):
    return project.here("cli.py", "predict", *map(str, args), check=check)


def test_predict_writes_palette_png_and_overlay(project, tmp_path):
    bad = tmp_path / "in/broken.jpg"
    bad.parent.mkdir()
    bad.write_bytes(b"no image")
    photo = next((project.root / PHOTOS).iterdir())
    out = tmp_path / "out"
    done = project.python("cli.py", "predict", str(photo), str(bad), "-o", str(out), check=False)
    assert done.returncode == 1 and "broken.jpg: cannot be decoded" in done.stdout
    assert "1 images" in predict(project, photo, "-o", out).stdout
    label = formats.read_label(out / f"{photo.stem}.png")
    assert label.shape == formats.read_image(photo).shape[:2]
    assert (out / f"{photo.stem}_overlay.jpg").exists()


@pytest.fixture
def three(project, tmp_path):
    """A folder of three photographs."""
    folder = tmp_path / "in"
    folder.mkdir()
    for path in sorted((project.root / PHOTOS).iterdir())[:3]:
        shutil.copy2(path, folder)
    return folder


def test_predict_resumes_and_never_mixes_results_of_two_networks(project, three, tmp_path):
    out, model = tmp_path / "out", tmp_path / "model"
    shutil.copytree(Layout(project.root).segmenter("guide"), model)
    first, second, third = sorted(three.iterdir())
    call = (three, "-o", out, "--model", model)

    def again():
        before = {p.name: p.stat().st_mtime_ns for p in out.glob("*.png")}
        stdout = predict(project, *call).stdout
        after = {p.name: p.stat().st_mtime_ns for p in out.glob("*.png")}
        assert set(after) == {f"{p.stem}.png" for p in three.iterdir()}
        return sum(before.get(k) != after[k] for k in after), stdout

    assert again()[0] == 3
    results = {p.name: p.read_bytes() for p in out.iterdir()}
    (out / f"{second.stem}.png").unlink()  # as if the call was stopped before it
    (out / f"{third.stem}_overlay.jpg").unlink()
    made, stdout = again()
    assert made == 2 and "3 images" in stdout and "1 of them from an earlier call" in stdout
    assert results == {p.name: p.read_bytes() for p in out.iterdir()}
    shutil.copy2(first, third)  # another photograph of the same name, older than the mask
    os.utime(third, (1, 1))
    assert again()[0] == 1
    assert (out / f"{third.stem}.png").read_bytes() == results[f"{first.stem}.png"]
    assert formats.read_json(out / RECORD)["classes"][:2] == ["background", "disc"]

    def refused(*more):
        done = predict(project, *call, *more, check=False)
        assert done.returncode == 1
        return done.stderr

    assert "holds results of another network or other params" in refused("--no-crf")
    spec = formats.read_json(model / "net.json")
    formats.write_json(model / "net.json", spec | {"trained_on": "another machine"})
    assert "holds results of another network or other params" in refused()
    (out / RECORD).write_text("[]")
    assert f"{RECORD}: damaged; remove it" in refused()


def test_predict_changes_no_file_that_it_did_not_make(project, three, tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    drawn = masks / f"{min(three.iterdir()).stem}.png"
    drawn.write_bytes(b"drawn by hand")
    (tmp_path / "links").mkdir()
    (tmp_path / "links/x.png").symlink_to(min(three.iterdir()))
    for photos, out in ((three, masks), (three, three), (tmp_path / "links",) * 2):
        before = {p: p.read_bytes() for p in out.iterdir()}
        done = predict(project, photos, "-o", out, check=False)
        assert done.returncode == 1 and "choose another folder" in done.stderr
        assert before == {p: p.read_bytes() for p in out.iterdir()}


def test_predict_draws_class_maps(project, three, tmp_path):
    out = tmp_path / "out"
    assert "3 images" in predict(project, three, "-o", out, "--maps").stdout
    assert {p.name for p in out.glob("*.jpg")} == {f"{p.stem}_maps.jpg" for p in three.iterdir()}
    assert not list(out.glob("*.png"))
    for more in (("--maps", "--no-crf"), ("--maps", "--model", "x"), ("--classifier", "x")):
        done = predict(project, three, "-o", out, *more, check=False)
        assert done.returncode == 1 and "--maps goes with --classifier" in done.stderr
