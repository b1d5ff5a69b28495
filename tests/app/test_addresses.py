"""`pack` with a list of paths and addresses."""

import io
import json
import shutil

import fsspec
import pytest

from app import addresses, fetch, packing
from pipeline.core import decoding, shards
from pipeline.core.errors import UserError
from tests.app.test_fetch import certificate, server  # noqa: F401
from tests.conftest import photo
from tests.pipeline.dataset.test_packed import picture
from tests.test_cli import code_of


def write_list(folder_set, *entries):
    path = folder_set / "list.txt"
    path.write_text("\n".join(map(str, entries)) + "\n\n")
    return path


def pack(folder_set, *entries):
    source = write_list(folder_set, *entries)
    return packing.pack(source, folder_set / "out", tags=folder_set / "tags.csv")


def packed_bytes(folder_set, name):
    return shards.open_file(folder_set / "out/00000.tar" / name).read()


@pytest.fixture
def bucket(folder_set):
    """A file system in memory with a photograph."""
    system = fsspec.filesystem("memory")
    system.pipe_file("/bucket/p1.png", picture(seed=1))
    yield system
    system.rm("/bucket", recursive=True)


def test_paths_and_addresses_are_packed_together(folder_set, bucket):
    packed = pack(folder_set, folder_set / "images/p0.png", "memory://bucket/p1.png")
    assert packed.unread == [] and len(packed.gathered.photographs) == 2
    assert packed_bytes(folder_set, "p0.png") == (folder_set / "images/p0.png").read_bytes()
    assert packed_bytes(folder_set, "p1.png") == picture(seed=1)
    assert sorted(p.name for p in (folder_set / "out").iterdir()) == ["00000.idx", "00000.tar"]
    assert not list(folder_set.glob(".out*"))


def test_what_cannot_be_read_is_named_and_the_rest_is_packed(folder_set, bucket, monkeypatch):
    bucket.pipe_file("/bucket/p2.png", b"no image")
    bucket.pipe_file("/bucket/p3.png", bytes(3_000))
    monkeypatch.setattr(decoding, "max_bytes", lambda: len(picture(seed=1)) + 100)
    shutil.copy(folder_set / "images/p0.png", folder_set / "p0.png")
    bucket.pipe_file("/bucket/p3.png", bytes(10_000))
    packed = pack(
        folder_set, "memory://bucket/p1.png", "memory://bucket/gone.png", folder_set / "no.png",
        "http://host/h.png", "https://me:secret@host/s.png?sig=secret", "memory://x/p1.jpg",
        "nobody://x/n.png", "memory://bucket/notes.txt", "memory://bucket/p2.png",
        "memory://bucket/p3.png", "https://ho st/b.png?sig=secret",
    )  # fmt: skip
    assert [p.id for p in packed.gathered.photographs] == ["p1"]
    assert packed.gathered.left_out["images that cannot be read"][0].startswith("p2.png (cannot be")
    unread = "\n".join(packed.unread)
    assert "secret" not in unread and unread.count("\n") == len(packed.unread) - 1 == 8
    for line in (
        "memory://x/p1.jpg: has the name of memory://bucket/p1.png",
        "memory://bucket/notes.txt: has none of the suffixes",
        "memory://bucket/gone.png: not found",
        f"{folder_set / 'no.png'}: not found",
        "http://host/h.png: is not encrypted; use https",
        "https://host/s.png: holds a user name or a password",
        "nobody://x/n.png: cannot be read (Protocol not known: nobody)",
        "memory://bucket/p3.png: has more than 0.0 GB",
        "https://ho st/b.png: is not a valid address",
    ):
        assert any(found.startswith(line) for found in packed.unread), line


def test_https_goes_through_the_opener_that_requires_tls(folder_set, server, monkeypatch):  # noqa: F811
    """The server's photograph has a blank in its name, as an address writes it."""
    monkeypatch.setattr("tests.app.test_fetch.CONTENT", picture(seed=2))
    packed = pack(folder_set, f"{server.url}/a/p%202.png?sig=secret", folder_set / "images/p0.png")
    assert packed.gathered.left_out["images without tags"] == ["p 2.png"]
    server.redirect_to = "http://127.0.0.1/p2.png?sig=secret"
    shutil.rmtree(folder_set / "out")
    packed = pack(folder_set, f"{server.url}/p2.png", folder_set / "images/p0.png")
    assert len(packed.unread) == 1 and "is not an https address" in packed.unread[0]
    assert "secret" not in packed.unread[0]


@pytest.mark.parametrize("name", ["..%2F..%2Fevil.png", "%2e%2e/evil.png", "/a/%2Fevil.png"])
def test_a_name_leads_out_of_no_folder(name):
    assert addresses._name(f"https://host/{name}") == "evil.png"


def test_a_broken_connection_is_no_photograph(folder_set, monkeypatch):
    class Answer(io.BytesIO):
        headers = {"Content-Length": "999999"}  # noqa: RUF012

    monkeypatch.setattr(fetch, "open_over_tls", lambda _: Answer(picture()))
    packed = pack(folder_set, "https://host/p1.png", folder_set / "images/p0.png")
    assert packed.unread == ["https://host/p1.png: the connection broke off"]


@pytest.mark.parametrize("entries, options, message", [
    (["memory://no/p.png"], {}, r"list\.txt: names no photograph that can be read, such as memory"),
    ([], {}, r"list\.txt: names no photograph that can be read$"),
    (["memory://no/p.png"], {"tags": None}, r"list\.txt: is a list.*add --tags FILE"),
])  # fmt: skip
def test_a_list_that_cannot_be_packed_ends_in_one_line(folder_set, entries, options, message):
    source, options = write_list(folder_set, *entries), {"tags": folder_set / "tags.csv"} | options
    with pytest.raises(UserError, match=message):
        packing.pack(source, folder_set / "out", **options)
    assert not (folder_set / "out").exists() and not list(folder_set.glob(".out*"))


def test_an_error_names_the_list_and_not_the_folder_of_downloads(folder_set):
    photo(folder_set / "unknown.png")
    with pytest.raises(UserError, match=r"no image of \S+/list\.txt is called as in this file"):
        pack(folder_set, folder_set / "unknown.png")


def test_the_command_reads_the_standard_input(folder_set, monkeypatch, capsys):
    entries = [folder_set / "images/p0.png", *(f"memory://no/q{i}.png" for i in range(25))]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(map(str, entries))))
    words = ("-", folder_set / "out", "--tags", folder_set / "tags.csv")
    assert code_of("pack", *map(str, words)) == 0
    shown = capsys.readouterr().out
    assert shown.count("left out: memory://no/q") == 20
    assert "left out: entries of the list that cannot be read: 25\n" in shown
    shutil.rmtree(folder_set / "out")
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(map(str, entries))))
    assert code_of("pack", *map(str, words), "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["unread"]) == 25
