"""Archives hold what the files held, byte for byte, and a killed packing resumes."""

import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core import formats, shards
from pipeline.core.errors import UserError


@pytest.fixture
def folder(tmp_path):
    for i in range(50):
        formats.write_label(tmp_path / f"{i}.png", np.full((2, 3), i, np.uint8))
    return tmp_path


def labels(folder):
    return [int(formats.read_label(folder / f"{i}.png")[0, 0]) for i in range(50)]


def test_readers_find_every_file_in_the_archives(folder):
    shards.pack(folder, per_shard=10)
    assert sorted(p.name for p in folder.iterdir()) == [f"0000{i}-of-00005.zip" for i in range(5)]
    assert labels(folder) == list(range(50))
    assert shards.ids(folder) == {str(i) for i in range(50)}
    assert shards.exists(folder / "7.png") and not shards.exists(folder / "50.png")


@pytest.mark.parametrize("packed", [False, True])
def test_a_missing_file_is_reported(folder, packed):
    if packed:
        shards.pack(folder, per_shard=10)
    with pytest.raises(formats.UserError, match=r"50\.png: not found"):
        formats.read_label(folder / "50.png")


def test_archives_are_byte_stable(folder):
    shards.pack(folder, per_shard=10)
    first = formats.digest(folder)
    with zipfile.ZipFile(next(folder.iterdir())) as z:
        assert z.namelist() == sorted(z.namelist())
    for archive in folder.iterdir():
        archive.unlink()
    for i in reversed(range(50)):
        formats.write_label(folder / f"{i}.png", np.full((2, 3), i, np.uint8))
    shards.pack(folder, per_shard=10)
    assert formats.digest(folder) == first


@pytest.mark.parametrize("at", [0, 1, 13, 49])
def test_a_killed_packing_resumes(folder, monkeypatch, at):
    """The kill comes after `at` files were removed, within an archive's files or between two."""
    from pathlib import Path

    unlink, removed = Path.unlink, []

    def unlink_until_killed(path, missing_ok=False):
        if len(removed) == at:
            raise KeyboardInterrupt
        removed.append(path)
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink_until_killed)
    with pytest.raises(KeyboardInterrupt):
        shards.pack(folder, per_shard=10)
    monkeypatch.undo()
    assert shards.ids(folder) == {str(i) for i in range(50)}
    shards.pack(folder, per_shard=10)
    assert labels(folder) == list(range(50)) and len(list(folder.iterdir())) == 5


def test_a_damaged_archive_is_named(folder):
    shards.pack(folder, per_shard=10)
    for archive in folder.iterdir():
        archive.write_bytes(b"")
    with pytest.raises(UserError, match=r"0000\d-of-00005\.zip: is damaged"):
        formats.read_label(folder / "7.png")
    with pytest.raises(UserError, match="is damaged"):
        shards.ids(folder)


def test_a_damaged_file_in_an_archive_names_the_archive(folder):
    shards.pack(folder, per_shard=10)
    for archive in folder.iterdir():
        archive.write_bytes(archive.read_bytes().replace(b"IEND", b"IEMD"))
    with pytest.raises(UserError, match=r"0000\d-of-00005\.zip: is damaged"):
        formats.read_label(folder / "7.png")


def test_another_zip_in_the_folder_is_ignored(folder):
    (folder / "maps-of-birds.zip").write_bytes(b"")
    assert labels(folder) == list(range(50))
    with pytest.raises(UserError, match=r"50\.png: not found"):
        formats.read_label(folder / "50.png")


def test_the_files_of_an_archive_that_was_deleted_are_missing(folder):
    shards.pack(folder, per_shard=10)
    shards._path(folder / "7.png", 5).unlink()
    assert not shards.exists(folder / "7.png")
    with pytest.raises(UserError, match=r"7\.png: not found"):
        formats.read_label(folder / "7.png")


NAME = "7.png"


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A folder with one archive of two labels, and the archive's bytes."""
    folder = tmp_path_factory.mktemp("packed")
    for name in (NAME, "8.png"):
        formats.write_label(folder / name, np.full((2, 3), 7, np.uint8))
    shards.pack(folder, per_shard=10)
    return folder, (folder / shards.ARCHIVE.format(0, 1)).read_bytes()


def reads_or_says(packed, content):
    """Every reader gives a value or one line, whatever the archive holds."""
    folder, _ = packed
    archive = folder / shards.ARCHIVE.format(0, 1)
    archive.write_bytes(content)
    shards._archive.cache_clear()
    for read in (
        lambda: shards.open_file(folder / NAME).read(),
        lambda: shards.exists(folder / NAME),
        lambda: shards.ids(folder),
        lambda: formats.read_label(folder / NAME),
    ):
        try:
            read()
        except UserError as e:
            assert str(folder) in str(e)
        except FileNotFoundError as e:  # open_file's own contract
            assert str(folder) in str(e)


QUICK = settings(max_examples=60, deadline=None)


@QUICK
@given(st.binary(max_size=200))
def test_any_bytes_as_an_archive_are_a_value_or_one_line(packed, content):
    reads_or_says(packed, content)


@QUICK
@given(st.integers(0, 600), st.binary(max_size=4), st.integers(0, 4))
def test_an_archive_with_damaged_bytes_is_a_value_or_one_line(packed, at, damage, skip):
    whole = packed[1]
    at %= len(whole)
    reads_or_says(packed, whole[:at] + damage + whole[at + skip :])


@pytest.mark.parametrize("at, value", [
    (4, 99),  # a version of the format that does not exist
    (6, 1),  # encrypted
    (8, 8), (8, 12), (8, 14), (8, 99),  # compressed by deflate, bzip2, lzma, an unknown method
])  # fmt: skip
def test_a_header_that_claims_another_method_is_one_line(packed, at, value):
    content = bytearray(packed[1])
    for start in (0, content.index(b"PK\x01\x02") + 2):  # the entry, and its copy in the directory
        content[start + at] = value
    reads_or_says(packed, bytes(content))


def test_a_name_in_an_archive_cannot_leave_its_folder(packed, tmp_path):
    """No file of an archive is ever unpacked. A reader asks for names of its own."""
    folder, _ = packed
    archive = folder / shards.ARCHIVE.format(0, 1)
    with zipfile.ZipFile(archive, "w") as z:
        z.writestr("../../x.png", b"x")
    shards._archive.cache_clear()
    before = sorted(folder.parent.rglob("*"))
    assert shards.ids(folder) == {"x"}
    with pytest.raises(UserError, match=r"x\.png: not found"):
        formats.read_label(folder / "x.png")
    assert sorted(folder.parent.rglob("*")) == before
