"""`pack`: what it writes is what the source `shards` reads."""

import shutil

import numpy as np
import pytest

from app import packing
from pipeline.core import formats, shards
from pipeline.core.errors import UserError
from pipeline.core.params import section
from pipeline.dataset import sources
from pipeline.dataset.config import Data
from tests.conftest import photo
from tests.test_cli import code_of


@pytest.fixture
def images(folder_set):
    """`folder_set` with a sub-folder, a dot in a name, a copy, and files that cannot be used."""
    photo(folder_set / "images/a.b/x.y.png", seed=9)
    shutil.copy(folder_set / "images/p0.png", folder_set / "images/same.png")
    (folder_set / "images/bad.png").write_bytes(b"no image")
    photo(folder_set / "images/untagged.png", seed=8)
    (folder_set / "masks/p1.png").write_bytes(b"no mask")
    formats.write_label(folder_set / "masks/p2.png", np.zeros((3, 4), np.uint8))
    with (folder_set / "tags.csv").open("a") as f:
        f.write("a.b/x.y,cat dog,\nsame,cat,\nbad,cat,\n")
    return folder_set


def pack(root, out, **options):
    return packing.pack(
        root / "images", out, tags=root / "tags.csv", masks_from=root / "masks", **options
    )


def test_the_source_reads_what_pack_wrote(images, tmp_path, params):
    packed = pack(images, tmp_path / "out", per_shard=2)
    assert (packed.tars, packed.masks) == (3, 2)
    params["data"] |= {
        "source": "shards", "root": str(tmp_path / "out"), "tags": str(tmp_path / "out"),
        "classes": [],
    }  # fmt: skip
    content = sources.read(section(params, "data", Data))
    assert [(e.id, e.tags, e.split) for e in content.entries] == [
        ("a.b/x.y", ("cat", "dog"), "train"), ("p0", ("cat",), "train"), ("p1", ("dog",), "train"),
        ("p2", ("cat",), "train"), ("p3", ("dog",), "val"),
    ]  # fmt: skip
    for entry in content.entries:
        original = images / f"images/{entry.id}.png"
        assert shards.open_file(entry.image).read() == original.read_bytes()
    assert [e.id for e in content.entries if e.mask] == ["p0", "p3"]
    assert not any(content.left_out.values())


def test_what_cannot_be_used_is_said(images, tmp_path):
    left_out = pack(images, tmp_path / "out").gathered.left_out
    assert left_out[packing.COPIES] == ["same (of p0)"]
    assert left_out["images without tags"] == ["untagged.png"]
    assert left_out["images that cannot be read"][0].startswith("bad.png (cannot be decoded")
    unreadable, small = left_out[packing.BAD_MASKS]
    assert "p1.png: cannot be decoded" in unreadable and small.endswith("p2.png (4x3 px)")


def test_equal_photographs_give_equal_bytes(images, tmp_path):
    for name in ("one", "two"):
        pack(images, tmp_path / name)
    assert formats.digest(tmp_path / "one") == formats.digest(tmp_path / "two")


def test_nothing_is_left_of_a_failed_call(images, tmp_path, monkeypatch):
    monkeypatch.setattr(packing.tars, "write", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pack(images, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_files_is_refused(images, tmp_path):
    with pytest.raises(UserError, match="holds other files; choose a new folder"):
        pack(images, images)


def test_the_command_says_what_it_did(images, tmp_path, capsys):
    out, tags, masks = tmp_path / "out", images / "tags.csv", images / "masks"
    words = (images / "images", out, "--tags", tags, "--masks", masks)
    assert code_of("pack", *map(str, words)) == 0
    shown = capsys.readouterr().out.replace("\n", " ")
    assert ": photographs: 5, masks: 2, tars: 1 " in shown
    assert " left out: copies of another image: 1 (same (of p0)) " in shown
