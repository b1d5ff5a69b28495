"""Tars hold what the files held, byte for byte, and a killed packing resumes."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core import formats, shards, tars
from pipeline.core.errors import UserError

IDS = [f"{i:02d}" for i in range(50)]


@pytest.fixture
def folder(tmp_path):
    write_labels(tmp_path)
    return tmp_path


def write_labels(folder, ids=IDS):
    for key in ids:
        formats.write_label(folder / f"{key}.png", np.full((2, 3), IDS.index(key), np.uint8))


def labels(folder):
    return [int(formats.read_label(folder / f"{key}.png")[0, 0]) for key in IDS]


def test_readers_find_every_file_in_the_tars(folder):
    shards.pack(folder, IDS, per_shard=10)
    names = [f"0000{i}.{suffix}" for i in range(5) for suffix in ("idx", "tar")]
    assert sorted(p.name for p in folder.iterdir()) == [*names, "shards.idx"]
    assert labels(folder) == list(range(50))
    assert shards.ids(folder) == set(IDS)
    assert shards.exists(folder / "07.png") and not shards.exists(folder / "50.png")


def test_an_id_is_in_the_same_tar_of_all_folders(tmp_path):
    """Also of a folder that lacks most ids, such as that of the val images."""
    few = ["03", "29", "49"]
    write_labels(tmp_path / "all")
    write_labels(tmp_path / "few", few)
    for name in ("all", "few"):
        shards.pack(tmp_path / name, IDS, per_shard=10)
    numbers = [p.stem for p in sorted((tmp_path / "few").glob("*.tar"))]
    assert numbers == ["00000", "00002", "00004"]
    for key, number in zip(few, numbers, strict=True):
        for name in ("all", "few"):
            assert f"{key}.png" in tars.index(tmp_path / name / f"{number}.tar")


@pytest.mark.parametrize(("count", "sizes"), [(50, [10] * 5), (51, [8, 9, 8, 9, 8, 9]), (1, [1])])
def test_ids_are_divided_evenly(tmp_path, count, sizes):
    ids = [f"{i:02d}" for i in range(count)]
    for key in ids:
        (tmp_path / f"{key}.txt").touch()
    shards.pack(tmp_path, ids[::-1], per_shard=10)
    assert [len(tars.index(p)) for p in sorted(tmp_path.glob("*.tar"))] == sizes


@pytest.mark.parametrize("packed", [False, True])
def test_a_missing_file_is_reported(folder, packed):
    if packed:
        shards.pack(folder, IDS, per_shard=10)
    with pytest.raises(formats.UserError, match=r"50\.png: not found"):
        formats.read_label(folder / "50.png")


def test_tars_are_byte_stable(folder):
    shards.pack(folder, IDS, per_shard=10)
    first = formats.digest(folder)
    for path in folder.iterdir():
        path.unlink()
    write_labels(folder, IDS[::-1])
    (folder / "07.png").chmod(0o600)
    shards.pack(folder, IDS[::-1], per_shard=10)
    assert formats.digest(folder) == first


def test_a_tar_holds_no_time_and_no_owner_and_the_index_is_right(folder):
    (folder / ("a" * 150 + ".png")).write_bytes(b"a long name takes more headers")
    shards.pack(folder, IDS, per_shard=1000)
    content, places = (folder / "00000.tar").read_bytes(), tars.index(folder / "00000.tar")
    with tarfile.open(folder / "00000.tar") as t:
        members = t.getmembers()
        assert [m.name for m in members] == sorted(places) and len(members) == 51
        for m in members:
            assert (m.mtime, m.uid, m.gid, m.uname, m.gname, m.pax_headers) == (0, 0, 0, "", "", {})
            start, size, _ = places[m.name]
            assert content[start : start + size] == t.extractfile(m).read()


@pytest.mark.parametrize("at", [0, 1, 13, 49])
def test_a_killed_packing_resumes(folder, monkeypatch, at):
    """The kill comes after `at` files were removed, within a tar's files or between two."""
    unlink, removed = Path.unlink, []

    def unlink_until_killed(path, missing_ok=False):
        if len(removed) == at:
            raise KeyboardInterrupt
        removed.append(path)
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink_until_killed)
    with pytest.raises(KeyboardInterrupt):
        shards.pack(folder, IDS, per_shard=10)
    monkeypatch.undo()
    assert shards.ids(folder) == set(IDS)
    shards.pack(folder, IDS, per_shard=7)  # the tars that exist decide
    assert labels(folder) == list(range(50)) and len(list(folder.iterdir())) == 11


@pytest.mark.parametrize("at", range(3))
def test_a_tar_is_there_when_it_and_its_index_are_complete(folder, monkeypatch, at):
    """The kill comes before the ranges, the index or the tar get their names."""
    replace, calls = Path.replace, []

    def replace_until_killed(path, target):
        if len(calls) == at:
            raise KeyboardInterrupt
        calls.append(path)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", replace_until_killed)
    with pytest.raises(KeyboardInterrupt):
        shards.pack(folder, IDS, per_shard=50)
    monkeypatch.undo()
    assert not (folder / "00000.tar").exists() and len(list(folder.glob("*.png"))) == 50
    shards.pack(folder, IDS, per_shard=50)
    assert {p.name for p in folder.iterdir()} == {"00000.tar", "00000.idx", "shards.idx"}
    assert labels(folder) == list(range(50))


def test_a_file_that_its_tar_lacks_is_kept(folder):
    shards.pack(folder, IDS, per_shard=10)
    formats.write_label(folder / "50.png", np.full((2, 3), 50, np.uint8))
    shards.pack(folder, IDS, per_shard=10)
    assert formats.read_label(folder / "50.png")[0, 0] == 50


@pytest.mark.parametrize("key", ["a", "a.b", "a.", ".a", "a%2Eb", "a%", "x.y/a.b.c", "ä b/ç"])
def test_webdataset_takes_the_id_as_key(key):
    """Its key is the name up to the first dot of the last part."""
    folder, _, name = tars.member(f"{key}.png").rpartition("/")
    stem, _, suffix = name.partition(".")
    assert stem and suffix == "png"
    assert tars.parts(f"{folder}/{name}" if folder else name) == (key, "png")


def test_two_ids_with_a_common_start_are_two_samples(tmp_path):
    for key in ("a", "a.b", "a-b"):
        for suffix in ("npz", "png"):
            (tmp_path / f"{key}.{suffix}").write_text(key)
    shards.pack(tmp_path, ["a", "a.b", "a-b"], per_shard=10)
    keys = [name.partition(".")[0] for name in tars.index(tmp_path / "00000.tar")]
    assert [len({*keys[i : i + 2]}) for i in (0, 2, 4)] == [1, 1, 1] and len(set(keys)) == 3
    assert shards.open_file(tmp_path / "a.b.png").read() == b"a.b"


def test_a_damaged_tar_is_named(folder):
    shards.pack(folder, IDS, per_shard=10)
    for tar in folder.glob("*.tar"):
        tar.write_bytes(b"")
    with pytest.raises(UserError, match=r"00000\.tar: is damaged; delete it, then run again"):
        formats.read_label(folder / "07.png")
    (folder / "00000.idx").unlink()
    with pytest.raises(UserError, match=r"00000\.tar: is damaged"):
        shards.ids(folder)


def test_a_damaged_file_in_a_tar_names_the_tar(folder):
    shards.pack(folder, IDS, per_shard=10)
    for tar in folder.glob("*.tar"):
        tar.write_bytes(tar.read_bytes().replace(b"IEND", b"IEMD"))
    with pytest.raises(UserError, match=r"00000\.tar: is damaged.*07\.png is not what was written"):
        formats.read_label(folder / "07.png")


INDICES = ["", "[]", "{", '{"07.png": 3}', '{"07.png": [512, -1, 0]}', '{"07.png": [true, 1, 2]}']


@pytest.mark.parametrize("content", [*INDICES, '{"07.png": [1e3, 1, 2]}', "[" * 99999])
def test_a_damaged_index_is_named(folder, content):
    shards.pack(folder, IDS, per_shard=10)
    (folder / "00000.idx").write_text(content)
    with pytest.raises(UserError, match=r"00000\.idx: is damaged"):
        formats.read_label(folder / "07.png")


@pytest.mark.parametrize("start", [10**5, 10**30])
def test_an_index_that_points_behind_the_end_names_the_tar(folder, start):
    shards.pack(folder, IDS, per_shard=10)
    (folder / "00000.idx").write_text(json.dumps({"07.png": [start, 9, 0]}))
    with pytest.raises(UserError, match=r"00000\.tar: is damaged"):
        formats.read_label(folder / "07.png")


@pytest.mark.parametrize("content", ["", "{}", "[]", "[1]", "3"])
def test_damaged_ranges_are_named(folder, content):
    shards.pack(folder, IDS, per_shard=10)
    (folder / "shards.idx").write_text(content)
    with pytest.raises(UserError, match=r"shards\.idx: is damaged"):
        formats.read_label(folder / "07.png")


def test_another_tar_in_the_folder_is_ignored(folder):
    (folder / "maps-of-birds.tar").write_bytes(b"")
    assert labels(folder) == list(range(50)) and shards.ids(folder) == set(IDS)


def test_the_files_of_a_tar_that_was_deleted_are_missing(folder):
    shards.pack(folder, IDS, per_shard=10)
    (folder / "00000.tar").unlink()
    assert not shards.exists(folder / "07.png")
    with pytest.raises(UserError, match=r"07\.png: not found"):
        formats.read_label(folder / "07.png")


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_from_elsewhere_needs_no_index(folder, kind):
    with tarfile.open(folder / "x.tar", "w", format=kind) as t:
        for path in sorted(folder.glob("*.png")):
            t.add(path, arcname=f"./deep/{path.name}")
    assert formats.read_label(folder / "x.tar/./deep/07.png")[0, 0] == 7
    assert shards.exists(folder / "x.tar/deep/07.png")
    assert not shards.exists(folder / "x.tar/07.png")
    with pytest.raises(UserError, match=r"x\.tar/07\.png: not found"):
        formats.read_label(folder / "x.tar/07.png")


@pytest.mark.parametrize("cut", [700, 4096, 512 * 97 - 100])
def test_a_tar_from_elsewhere_that_is_cut_off_is_damaged(folder, cut):
    with tarfile.open(folder / "x.tar", "w") as t:
        for path in sorted(folder.glob("*.png")):
            t.add(path, arcname=path.name)
    (folder / "x.tar").write_bytes((folder / "x.tar").read_bytes()[:cut])
    with pytest.raises(UserError, match=r"x\.tar: is damaged"):
        formats.read_label(folder / "x.tar/00.png")


@pytest.mark.parametrize("damage", ["a header", "between two files"])
def test_a_tar_from_elsewhere_does_not_lose_files_in_silence(folder, damage):
    """Python's tarfile takes both kinds of damage for the end of the tar."""
    with tarfile.open(folder / "x.tar", "w") as t:
        for path in sorted(folder.glob("*.png")):
            t.add(path, arcname=path.name)
    with tarfile.open(folder / "x.tar") as t:
        at = t.getmember("07.png").offset
    content = (folder / "x.tar").read_bytes()
    damaged = content[:at] + (b"?" + content[at + 1 :] if damage == "a header" else b"")
    (folder / "x.tar").write_bytes(damaged)
    with pytest.raises(UserError, match=rf"x\.tar: is damaged.*no header at byte {at}"):
        formats.read_label(folder / "x.tar/00.png")


NAME = "7.png"


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A folder with one tar of two labels, and the tar's bytes."""
    folder = tmp_path_factory.mktemp("packed")
    for name in (NAME, "8.png"):
        formats.write_label(folder / name, np.full((2, 3), 7, np.uint8))
    shards.pack(folder, ["7", "8"], per_shard=10)
    return folder, (folder / "00000.tar").read_bytes(), (folder / "00000.idx").read_bytes()


def reads_or_says(packed, content, index):
    """Every reader gives a value or one line, whatever the tar and the index hold."""
    folder = packed[0]
    (folder / "00000.tar").write_bytes(content)
    (folder / "00000.idx").unlink(missing_ok=True)
    if index is not None:
        (folder / "00000.idx").write_bytes(index)
    tars._index.cache_clear()
    for read in (
        lambda: shards.open_file(folder / NAME).read(),
        lambda: shards.exists(folder / NAME),
        lambda: shards.ids(folder),
        lambda: formats.read_label(folder / NAME),
    ):
        try:
            read()
        except (UserError, FileNotFoundError) as e:  # the second one is open_file's own contract
            assert str(folder) in str(e)


QUICK = settings(max_examples=60, deadline=None)


@QUICK
@given(st.binary(max_size=200))
def test_any_bytes_as_a_tar_or_an_index_are_a_value_or_one_line(packed, content):
    reads_or_says(packed, content, None)
    reads_or_says(packed, packed[1], content)


@QUICK
@given(st.integers(0, 2600), st.binary(max_size=4), st.integers(0, 4))
def test_damaged_bytes_are_a_value_or_one_line(packed, at, damage, skip):
    def damaged(whole):
        return whole[: at % len(whole)] + damage + whole[at % len(whole) + skip :]

    _, tar, index = packed
    reads_or_says(packed, damaged(tar), None)
    reads_or_says(packed, damaged(tar), index)
    reads_or_says(packed, tar, damaged(index))
