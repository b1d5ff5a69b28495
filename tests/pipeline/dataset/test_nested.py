"""Images in sub-folders: ids are paths, and results stay in the folders of results."""

import os
import shutil

import numpy as np
import pytest

from pipeline.core import formats, shards
from pipeline.core.errors import UserError
from pipeline.core.params import section
from pipeline.dataset import image_files, names, sources
from pipeline.dataset.config import Data
from tests.conftest import photo


def read(params):
    return sources.read(section(params, "data", Data))


@pytest.fixture
def nested(folder_set):
    """`folder_set`, whose images p1 and p2 lie in folders."""
    for kind in ("images", "masks"):
        (folder_set / kind / "a/b").mkdir(parents=True)
        (folder_set / kind / "p1.png").rename(folder_set / kind / "a/b/p1.png")
        (folder_set / kind / "p2.png").rename(folder_set / kind / "a/p2.png")
    (folder_set / "tags.csv").write_text("id,tags\np0,cat\na/b/p1,dog\na/p2.png,cat\n")
    return folder_set


def test_an_id_is_the_path_without_the_suffix(folder_params, nested):
    content = read(folder_params)
    assert [(e.id, e.image.relative_to(nested), e.mask) for e in content.entries] == [
        ("p0", (nested / "images/p0.png").relative_to(nested), nested / "masks/p0.png"),
        ("a/b/p1", (nested / "images/a/b/p1.png").relative_to(nested), nested / "masks/a/b/p1.png"),
        ("a/p2", (nested / "images/a/p2.png").relative_to(nested), nested / "masks/a/p2.png"),
    ]
    assert content.left_out["images without a line in tags.csv"] == 1
    assert content.left_out["files in masks/ that fit no line of tags.csv"] == 1


def test_one_name_in_two_folders_is_two_ids(folder_params, nested):
    photo(nested / "images/c/p0.png", seed=9)
    (nested / "tags.csv").write_text("id,tags\np0,cat\nc/p0,dog\n")
    assert [e.id for e in read(folder_params).entries] == ["p0", "c/p0"]
    photo(nested / "images/c/p0.jpg", seed=9)
    with pytest.raises(UserError, match=r"duplicate id of the files c/p0\.jpg and c/p0\.png"):
        read(folder_params)


def test_a_wrong_folder_is_named(folder_params, nested):
    (nested / "tags.csv").write_text("id,tags\np1,dog\n")
    with pytest.raises(UserError, match=r"for id 'p1' \(line 2\), though a/b/p1\.png exists"):
        read(folder_params)


def test_hidden_folders_and_loops_of_links_are_not_read(folder_params, nested):
    shutil.copytree(nested / "images/a", nested / "images/.thumbnails")
    (nested / "images/a/loop").symlink_to(nested / "images")
    files = image_files.list_files(nested / "images", (".png",))
    assert files == ["a/b/p1.png", "a/p2.png", "p0.png", "p3.png"]


@pytest.mark.parametrize("key", ["a", "a/b/c", "a.b/c.d", "dog 1/x y", ".a", "a/.b"])
def test_a_relative_path_can_be_an_id(key):
    assert names.id_fault(key) == ""


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        ("/etc/a", "starts with /"), ("../a", "part of dots"), ("a/../b", "part of dots"),
        ("a//b", "empty part"), ("./a", "part of dots"), ("", "empty part"), ("a/", "empty part"),
        ("a\\b", "a backslash"), (".git/a", "a hidden folder"), ("a/.b/c", "a hidden folder"),
    ],
)  # fmt: skip
def test_other_paths_cannot_be_ids(key, fault):
    assert fault in names.id_fault(key)


def test_a_path_that_leaves_the_folder_is_refused(folder_params, folder_set):
    shutil.copy(folder_set / "images/p0.png", folder_set / "images/a\\p9.png")
    (folder_set / "tags.csv").write_text("id,tags\na\\p9,dog\n")
    with pytest.raises(UserError, match=r"id 'a\\\\p9' contains a backslash; rename the file"):
        read(folder_params)
    (folder_set / "tags.csv").write_text("id,tags\n../images/p0,dog\n")
    with pytest.raises(UserError, match=r"no image in .* for id '\.\./images/p0'"):
        read(folder_params)


@pytest.mark.parametrize("per_shard", [1, 1000])
def test_results_of_nested_ids_are_listed_and_packed(tmp_path, per_shard):
    ids = ["p0", "a/p0", "a/b/p1", "a/b/p2.x"]
    for i, key in enumerate(ids):
        formats.write_label(tmp_path / f"out/{key}.png", np.full((2, 3), i, np.uint8))
    (tmp_path / "out/a/p9.png.part").write_bytes(b"unfinished")
    assert shards.ids(tmp_path / "out") == {*ids}
    shards.pack(tmp_path / "out", ids, per_shard=per_shard)
    left = [name for _, _, files in os.walk(tmp_path / "out") for name in files]
    assert {name.rpartition(".")[2] for name in left} == {"tar", "idx", "part"}
    assert not (tmp_path / "out/a/b").exists()
    assert shards.ids(tmp_path / "out") == {*ids}
    for i, key in enumerate(ids):
        assert shards.exists(tmp_path / f"out/{key}.png")
        assert formats.read_label(tmp_path / f"out/{key}.png")[0, 0] == i
    assert not shards.exists(tmp_path / "out/a/p1.png")


def test_a_digest_tells_folders_apart(tmp_path):
    formats.write_json(tmp_path / "one/a/x.json", 1)
    formats.write_json(tmp_path / "two/b/x.json", 1)
    assert formats.digest(tmp_path / "one") != formats.digest(tmp_path / "two")
    assert formats.digest(tmp_path / "one/a") == formats.digest(tmp_path / "two/b")
