"""A project from a folder of tagged photographs."""

import json
import os
import shutil
import sys

import pytest

from app import new_project, photographs
from app.commands.new import create_project, describe
from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.params import read_yaml
from pipeline.params import load_params
from tests.conftest import photo
from tests.project import Project


@pytest.fixture
def images(tmp_path, monkeypatch):
    """A folder of four photographs, and two files that cannot be used."""
    monkeypatch.setenv("GUIDELABEL_WORKERS", "1")
    folder = tmp_path / "images"
    photo(folder / "a.png", size=(40, 30))
    photo(folder / "b.jpg", size=(50, 30), seed=1)
    photo(folder / "sub/c.png", size=(60, 30), seed=2)
    photo(folder / "d.png", size=(70, 30), seed=3)
    (folder / "broken.jpg").write_bytes((folder / "b.jpg").read_bytes()[:500])
    photo(folder / "a.jpg", seed=4)
    (folder / "._a.png").write_bytes(b"of macOS")
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.fixture
def tags(tmp_path):
    path = tmp_path / "tags.csv"
    path.write_text(
        "filename;labels\nb.jpg;dog cat\nc;dog\nd.png;\nbroken.jpg;dog\nother.png;dog\n"
        "b.jpg;void bird\n"
    )
    return path


def test_each_photograph_is_used_or_left_out_with_a_reason(images, tags):
    gathered = photographs.gather(images, tags=tags)
    used = {p.id: (p.path.name, p.tags, p.width_px) for p in gathered.photographs}
    assert used == {
        "b": ("b.jpg", ("dog", "cat", "bird"), 50),
        "sub/c": ("c.png", ("dog",), 60),
        "d": ("d.png", (), 70),
    }
    reasons = gathered.left_out
    assert reasons[photographs.NO_IMAGE] == ["other.png"]
    assert reasons[photographs.NO_TAGS] == ["a.jpg"]
    assert reasons[photographs.SAME_ID] == ["a.png"]
    (broken,) = reasons["images that cannot be read"]
    assert broken.startswith("broken.jpg (cannot be decoded")
    assert gathered.counts[photographs.RESERVED_TAGS] == 1


def test_without_a_file_of_tags_folders_are_the_tags(images):
    shutil.copy(images / "sub/c.png", images / "d.png")  # other names may be other pictures
    (images / "dog").mkdir()
    shutil.copy(images / "sub/c.png", images / "dog/c.png")
    gathered = photographs.gather(images)
    assert [(p.id, p.tags) for p in gathered.photographs] == [("dog/c", ("dog", "sub"))]
    assert gathered.counts == {
        "images that lie in no class folder": 4,
        "copies of an image in several class folders, whose tags are joined": 1,
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,tags\nx,dog\n", r"tags\.csv: no image of .*images is called as in .*'x'; give"),
        ("id,tags\na,\n", "no image of .*images has a tag"),
        ("id,tags\nbroken,dog\n", r"no image with tags can be read, such as broken\.jpg"),
        ("id,tags\na,dog\nb,Dog\n", r"classes that look the same: 'Dog' \(of b\.jpg\) and 'dog'"),
    ],
)
def test_tags_that_make_no_data_set_are_refused(images, tags, content, message):
    tags.write_text(content)
    with pytest.raises(UserError, match=message):
        photographs.gather(images, tags=tags)


def test_a_folder_without_tagged_images_is_refused(images, tmp_path):
    shutil.rmtree(images / "sub")
    with pytest.raises(UserError, match=r"no image lies in the folder of a class.* as --tags"):
        photographs.gather(images)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no image"):
        photographs.gather(tmp_path / "empty")
    with pytest.raises(UserError, match="none: folder not found"):
        photographs.gather(tmp_path / "none")
    with pytest.raises(UserError, match="--tags-from coco needs the file"):
        photographs.gather(images, kind="coco")
    with pytest.raises(UserError, match="no reader 'yolo'; choose one of folders, csv"):
        photographs.gather(images, kind="yolo")


def test_a_new_project_is_ready(images, tags, tmp_path):
    project = new_project.create(tmp_path / "mine", images=images, tags=tags)
    root = tmp_path / "mine"
    link = root / "photos/images/sub/c.png"
    assert link.is_symlink() and os.path.samefile(link, images / "sub/c.png")
    rows = formats.read_table(root / "photos/tags.csv", columns=("id", "tags"))
    assert [(row["id"], row["tags"]) for row in rows] == [
        ("b", "dog cat bird"), ("sub/c", "dog"), ("d", ""),
    ]  # fmt: skip
    assert not (root / "photos/images/broken.jpg").exists()
    params = load_params(root / "params.yaml")
    assert (params.data.source, params.saliency.source) == ("folder", "onnx")
    # With 3 train images, an epoch is one step, and 150 steps are enough to learn something.
    assert params.seed.train.epochs == params.segment.train.epochs == 150
    assert project.epochs == {"seed.train.epochs": (6, 150), "segment.train.epochs": (8, 150)}
    assert project.images_by_class == {"bird": 1, "cat": 1, "dog": 2}
    assert project.sizes_px == ((30, 50), (30, 60), (30, 70))
    assert Project(root).run("git", "status", "--porcelain").stdout == ""
    assert {p.name for p in root.iterdir() if p.name.startswith((".photos", ".new"))} == set()
    described = json.loads(json.dumps(describe(project, None)))
    assert described["images"] == 3 and described["next"] == project.next


def test_the_next_command_fetches_the_model_only_if_it_is_missing(
    images, tags, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    model = read_yaml(new_project.template.source() / "presets/shapes.yaml")["saliency"]["options"]
    monkeypatch.setattr(new_project.template, "source", lambda: tmp_path / "nowhere")
    folder = tmp_path / "my project"
    folder.mkdir()
    assert not new_project._bring_model(folder, _params())
    assert new_project._next(folder, has_model=False) == (
        f"cd '{folder}' && python cli.py fetch u2netp && python cli.py run"
    )
    (tmp_path / "data/raw").mkdir(parents=True)
    (tmp_path / model["onnx"]["file"]).write_bytes(b"model")
    assert new_project._bring_model(folder, _params())
    assert (folder / model["onnx"]["file"]).read_bytes() == b"model"
    assert new_project._next(folder, has_model=True) == f"cd '{folder}' && python cli.py run"


def _params():
    from pipeline.core.params import lay_over, validate
    from pipeline.params import Params
    from tests.project import ROOT

    values = read_yaml(ROOT / "presets/shapes.yaml")
    lay_over(values, read_yaml(ROOT / "presets/photos.yaml"))
    return validate(Params, values, where="photos")


def test_copies_are_files_and_splits_stay(images, tags, tmp_path):
    tags.write_text("id,tags,split\nb,dog,train\nd,dog,val\n")
    new_project.create(tmp_path / "mine", images=images, tags=tags, copy=True)
    copied = tmp_path / "mine/photos/images/b.jpg"
    assert not copied.is_symlink() and copied.read_bytes() == (images / "b.jpg").read_bytes()
    text = (tmp_path / "mine/photos/tags.csv").read_text()
    assert text == "id,tags,split\nb,dog,train\nd,dog,val\n"


def test_nothing_is_written_if_the_photographs_cannot_be_used(images, tags, tmp_path):
    tags.write_text("id,tags\nx,dog\n")
    with pytest.raises(UserError):
        new_project.create(tmp_path / "mine", images=images, tags=tags)
    assert not (tmp_path / "mine").exists()
    tags.write_text("id,tags\nb,dog\n")
    with pytest.raises(UserError, match="lies in the folder of photographs"):
        new_project.create(images / "mine", images=images, tags=tags)


def test_the_command_line(images, tags, tmp_path):
    here = Project(tmp_path).here
    args = ("--images", "images", "--tags", "tags.csv", "--no-estimate")
    shown = here("cli.py", "new", "mine", *args).stdout
    assert "mine: 3 photographs, 3 classes; 1 with several tags, 1 with none" in shown
    assert "left out: images without tags: 1 (a.jpg)" in shown
    assert shown.splitlines()[-1].startswith("cd mine && python cli.py ")
    as_json = here("cli.py", "new", "other", *args, "--json").stdout
    assert json.loads(as_json)["images_by_class"] == {"bird": 1, "cat": 1, "dog": 2}
    quiet = here("cli.py", "new", "third", *args, "--quiet").stdout
    assert quiet.startswith("cd third && ") and quiet.count("\n") == 1
    again = here("cli.py", "new", "mine", *args, check=False)
    assert again.returncode == 1 and again.stderr.splitlines()[-1] == (
        "error: mine: is not empty; choose a new folder"
    )


def test_a_base_installation_makes_a_project_without_an_estimate(
    images, tags, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "torch", None)
    create_project(tmp_path / "mine", images=images, tags=tags)
    shown = capsys.readouterr().out
    assert "type `pip install 'guidelabel[train]'`" in shown and "a run takes" not in shown


def test_epochs_stay_if_there_are_enough_photographs(tmp_path):
    layout = new_project.Layout(tmp_path)
    new_project.template.lay_out(tmp_path)
    new_project.presets.use(layout, "photos")
    # 400 images are 25 steps of an epoch: 6 epochs have 150 steps, 8 have 200
    assert new_project._lengthen(layout, images=400) == {}
    assert new_project._lengthen(layout, images=399) == {"seed.train.epochs": (6, 7)}
    assert load_params(layout.params).seed.train.epochs == 7
