"""Photographs in tars at an address give what the same tars in a folder give."""

import multiprocessing
import os
import shutil

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import known_implementations

from pipeline.core import remote, shards, tars
from pipeline.core.errors import UserError
from pipeline.core.params import section
from pipeline.dataset import checks, sources
from pipeline.dataset.config import Data
from tests.pipeline.dataset.test_packed import mask, picture

FILES = {"a.jpg": picture("JPEG"), "a.json": b'{"tags": ["cat"]}', "a.mask.png": mask(1),
         "dogs/b.png": picture(seed=1), "dogs/b.json": b'{"tags": ["dog"]}'}  # fmt: skip
CALLS = []


class Far(LocalFileSystem):
    """The files of this machine behind far://, and the calls that reach them."""

    protocol = "far"

    @classmethod
    def _strip_protocol(cls, path):
        return LocalFileSystem._strip_protocol("/" + path.removeprefix("far://").lstrip("/"))

    def cat_file(self, path, start=None, end=None, **kwargs):
        CALLS.append((os.path.basename(path), start))
        return super().cat_file(path, start, end, **kwargs)


@pytest.fixture(autouse=True)
def far():
    fsspec.register_implementation("far", Far, clobber=True)
    CALLS.clear()


@pytest.fixture
def data(params, tmp_path):
    (tmp_path / "tars").mkdir()
    tars.write(tmp_path / "tars/0.tar", {k: v for k, v in FILES.items() if k[0] == "a"}.items())
    tars.write(tmp_path / "tars/1.tar", {k: v for k, v in FILES.items() if k[0] == "d"}.items())
    params["data"] |= {
        "source": "shards", "root": str(tmp_path), "tags": str(tmp_path), "classes": [],
    }  # fmt: skip
    return params


def read(data, where):
    data["data"]["options"]["shards"]["tars"] = where
    return sources.read(section(data, "data", Data))


def look(entry):
    """What the check of an image finds, and the bytes of the image."""
    found = checks.check(entry, ("cat", "dog"))
    label = None if found.label is None else found.label.tobytes()
    return found.sample.digest, label, shards.open_file(entry.image).read()


def test_the_same_bytes_come_from_a_folder_and_from_an_address(data, tmp_path):
    near, far = read(data, "tars/*.tar"), read(data, f"far://{tmp_path}/tars")
    assert [(e.id, e.tags, e.split) for e in near.entries] == [
        (e.id, e.tags, e.split) for e in far.entries
    ]
    assert near.left_out == far.left_out
    assert str(far.entries[0].image).startswith("far:/")
    assert [look(e) for e in near.entries] == [look(e) for e in far.entries]
    assert all(shards.exists(e.image) for e in far.entries)
    assert not shards.exists(far.entries[0].image.with_name("z.jpg"))


def test_worker_processes_read_from_an_address(data, tmp_path):
    entries = read(data, f"far://{tmp_path}/tars/*.tar").entries
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert [found[2] for found in pool.map(look, entries)] == [FILES["a.jpg"], picture(seed=1)]


def test_an_image_is_one_request_and_an_index_is_read_once(data, tmp_path):
    entries = read(data, f"far://{tmp_path}/tars").entries
    look(entries[1])
    tars._index.cache_clear()  # as after the indices of 64 other tars
    look(entries[1])
    assert [name for name, start in CALLS if start is None] == ["0.idx", "1.idx"]
    assert sum(name == "1.tar" for name, _ in CALLS) == 2  # the tags and the image


def test_a_tar_without_an_index_is_read_by_its_headers(data, tmp_path):
    for index in (tmp_path / "tars").glob("*.idx"):
        index.unlink()
    entries = read(data, f"far://{tmp_path}/tars").entries
    assert [look(e)[2] for e in entries] == [FILES["a.jpg"], picture(seed=1)]


def test_a_state_changes_with_the_tar(data, tmp_path):
    image = read(data, f"far://{tmp_path}/tars").entries[0].image
    before = shards.state(image)
    tars.write(tmp_path / "tars/0.tar", [("a.jpg", b"other")])
    remote.state.cache_clear()
    assert shards.state(image) != before
    shutil.rmtree(tmp_path / "tars")
    remote.state.cache_clear()
    with pytest.raises(OSError):
        shards.state(image)
    with pytest.raises(FileNotFoundError):
        shards.open_file(image)


@pytest.mark.parametrize("where, message", [
    ("far:///nowhere", r"^far:///nowhere: no tar there; correct data.options.shards.tars$"),
    ("s3a1://bucket/x", r"^s3a1://bucket/x/\*\.tar: cannot be read \(Protocol not known: s3a1\)"),
    ("lacks://bucket/x", r"^lacks://bucket/x/\*\.tar: needs a package.*: Install lacksfs"),
    ("http://host/x", "^http://host/x.*: is not encrypted; use https"),
    ("https://host/x", "^https://host/x.*: a web server does not list its files"),
    ("s3://me:secret@bucket/x", r"^s3://bucket/x.*: holds a user name or a password"),
    ("zip://x::far://tmp/y", "joins several addresses; write one"),
    ("file:///tmp", "is on this machine; write the path instead"),
])  # fmt: skip
def test_an_address_that_cannot_be_read_ends_in_one_line(data, where, message, monkeypatch):
    known = {"class": "lacksfs.System", "err": "Install lacksfs to reach it"}
    monkeypatch.setitem(known_implementations, "lacks", known)
    with pytest.raises(UserError, match=message) as caught:
        read(data, where)
    assert "\n" not in str(caught.value) and "secret" not in str(caught.value)


@pytest.mark.parametrize("keep_index", [True, False])
def test_a_truncated_tar_is_named(data, tmp_path, keep_index):
    tar = tmp_path / "tars/0.tar"
    tar.write_bytes(tar.read_bytes()[:2000])
    if not keep_index:
        tar.with_suffix(".idx").unlink()
    with pytest.raises(UserError, match=rf"^far:/{tar}: is damaged; "):
        read(data, f"far://{tmp_path}/tars")


def test_no_secret_of_an_address_is_shown(monkeypatch):
    def fail(*_args):
        raise OSError("refused https://host/a?sig=secret")

    monkeypatch.setattr(fsspec.core, "url_to_fs", fail)
    with (
        pytest.raises(UserError, match=r"^https://host/a: cannot be read \(OSError\)"),
        remote.open_address("https://host/a?sig=secret"),
    ):
        pass
