"""Photographs in tars: ours, and those that other tools wrote."""

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.params import section
from pipeline.dataset import checks, sources
from pipeline.dataset.config import Data


def picture(kind="PNG", *, seed=0):
    noise = np.random.default_rng(seed).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, kind)
    return out.getvalue()


def mask(value):
    out = io.BytesIO()
    Image.fromarray(np.full((30, 40), value, np.uint8)).save(out, "PNG")
    return out.getvalue()


def write(tar, files):
    tar.parent.mkdir(exist_ok=True)
    with tarfile.open(tar, "w") as t:
        for name, value in files.items():
            content = value if isinstance(value, bytes) else json.dumps(value).encode()
            info = tarfile.TarInfo(name)
            info.size = len(content)
            t.addfile(info, io.BytesIO(content))


@pytest.fixture
def root(tmp_path):
    """Two tars of another tool, which name files with ./ in front."""
    root = tmp_path / "tars"
    write(root / "x-0.tar", {
        "./a.jpg": picture("JPEG"), "./a.json": {"tags": ["cat"]}, "./a.mask.png": mask(1),
        "./dogs/b.PNG": picture(seed=1), "./dogs/b.json": {"tags": "dog cat", "width": 40},
        "./._a.jpg": b"of macOS",
    })  # fmt: skip
    write(root / "x-1.tar", {
        "c%2Ed.png": picture(seed=2), "c%2Ed.json": {"tags": [], "split": "val"},
        "e.png": picture(seed=3), "f.json": {"tags": ["emu"]}, "g.mask.png": mask(1), "e.txt": b"",
    })  # fmt: skip
    return root


@pytest.fixture
def data(params, root):
    params["data"] |= {
        "source": "shards", "root": str(root), "tags": str(root), "classes": [],
    }  # fmt: skip
    return params


def read(data):
    return sources.read(section(data, "data", Data))


def test_images_masks_and_tags_are_matched(data, root):
    content = read(data)
    found = [(e.id, str(e.image.relative_to(root)), e.split, e.tags) for e in content.entries]
    assert found == [
        ("a", "x-0.tar/a.jpg", "train", ("cat",)),
        ("dogs/b", "x-0.tar/dogs/b.PNG", "train", ("dog", "cat")),
        ("c.d", "x-1.tar/c%2Ed.png", "val", ()),
    ]  # fmt: skip
    assert [e.mask and e.mask.name for e in content.entries] == ["a.mask.png", None, None]
    assert content.classes == ("cat", "dog")
    assert content.left_out == {
        "images without tags": 1, "masks without an image": 1, "tags without an image": 1,
        "other files in the tars": 1,
    }  # fmt: skip


def test_images_and_masks_are_read_out_of_the_tar(data):
    content = read(data)
    checked = [checks.check(entry, content.classes) for entry in content.entries]
    assert [(c.sample.height_px, c.sample.width_px) for c in checked] == [(30, 40)] * 3
    assert len({c.sample.digest for c in checked}) == 3
    assert (checked[0].label == 1).all() and checked[1].label is None
    noise = np.random.default_rng(1).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    assert (formats.read_image(checked[1].sample.image) == noise).all()


def test_tags_may_be_in_a_table(data, root):
    (root / "tags.csv").write_text("id,tags,split\na,fox,\nc.d,owl,val\n")
    data["data"]["tags"] = str(root / "tags.csv")
    content = read(data)
    assert [(e.id, e.split, e.tags) for e in content.entries] == [
        ("a", "train", ("fox",)), ("c.d", "val", ("owl",)),
    ]  # fmt: skip
    (root / "tags.csv").write_text("id,tags\na,fox\nz,fox\n")
    with pytest.raises(UserError, match=r"no image in the tars of .* for id 'z' \(line 3\)"):
        read(data)


def test_a_share_becomes_val(data, root):
    write(root / "x-2.tar", {
        f"h{i}.{kind}": content
        for i in range(10)
        for kind, content in (("png", picture(seed=i)), ("json", {"tags": ["cat"]}))
    })  # fmt: skip
    data["data"]["options"]["shards"] = {"tars": "x-2.tar", "val_fraction": 0.3}
    assert [e.split for e in read(data).entries].count("val") == 3


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ({"a.png": picture()}, r"duplicate id 'a' \(.*x-0.tar/a.jpg and .*y.tar/a.png\)"),
        ({"h.json": b"{", "h.png": b""}, r"y\.tar/h\.json: holds no tags \(Expecting"),
        ({"h.json": [], "h.png": b""}, r"y\.tar/h\.json: holds no tags \(tags must be a list"),
        ({"h.json": {"tags": [1]}, "h.png": b""}, "tags must be a list of names"),
        ({"h.json": b"\xff", "h.png": b""}, r"y\.tar/h\.json: holds no tags"),
        ({"h.json": b"[" * 99999, "h.png": b""}, r"y\.tar/h\.json: holds no tags"),
        ({"h.json": {"tags": [], "split": "x"}, "h.png": b""}, "split 'x': must be train or val"),
        ({"h.json": {"tags": [], "split": []  }, "h.png": b"", "h.jpg": b""}, "duplicate id 'h'"),
        ({"h.json": {"tags": ["two words"]}, "h.png": b""}, r"class 'two words' \(of h\): write"),
        ({"../h.png": b"", "../h.json": {"tags": []}}, r"'\.\./h' has an empty part, or a part of"),
        ({"/h.png": b"", "/h.json": {"tags": []}}, "'/h' starts with /"),
    ],
)  # fmt: skip
def test_a_bad_tar_is_one_line(data, root, files, match):
    write(root / "y.tar", files)
    with pytest.raises(UserError, match=match) as error:
        read(data)
    assert "\n" not in str(error.value)


def test_a_split_that_is_no_text_is_one_line(data, root):
    write(root / "y.tar", {"h.png": b"", "h.json": {"tags": [], "split": ["val"]}})
    with pytest.raises(UserError, match="must be train or val"):
        read(data)


def test_an_unknown_tag_is_named(data):
    data["data"]["classes"] = ["cats", "dog"]
    with pytest.raises(UserError, match=r"tag 'cat' \(of a; did you mean 'cats'\?\): not in data"):
        read(data)


@pytest.mark.parametrize("pattern", ["", "/x/*.tar", "*.zip", "y*.tar"])
def test_a_pattern_without_a_tar_is_one_line(data, pattern):
    data["data"]["options"]["shards"]["tars"] = pattern
    with pytest.raises(UserError, match=r"is no pattern below a folder|holds no tar that fits"):
        read(data)


def test_a_damaged_tar_is_named(data, root):
    (root / "x-1.tar").write_bytes((root / "x-1.tar").read_bytes()[:3000])
    with pytest.raises(UserError, match=r"x-1\.tar: is damaged"):
        read(data)
