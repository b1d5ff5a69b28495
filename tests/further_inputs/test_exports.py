"""Folders of masks, where they are exported to, and lists of ids."""

import os
from pathlib import Path

import numpy as np
import pytest

from app.exports import masks as exports
from app.exports.source import read_source
from app.exports.voc_server import export_voc
from pipeline.core import formats
from pipeline.core.layout import Layout
from tests.conftest import photo
from tests.further_inputs.doors import refuses, write


def folder_of_masks(record):
    photo(Path("photos/a.png"))
    formats.write_label(Path("masks/a.png"), np.zeros((30, 40), np.uint8))
    formats.write_label(Path("evil.png"), np.zeros((30, 40), np.uint8))
    formats.write_json(Path("masks/made_of.json"), record)


def record_of(name="a"):
    return {
        "classes": ["background", "cat"],
        "made_by": "x",
        "files": {name: ["photos/a.png", 1, 1]},
    }


def export(output):
    source = read_source("masks", layout=Layout(), supervision="guide")
    return exports.export_masks(source, Path(output), name="voc")


@pytest.mark.parametrize("record", [
    [], {}, 3, "x", {"classes": 3}, {"classes": ["background"], "files": [1]},
    {"classes": ["background"], "files": {"a": 3}}, {"classes": ["background"], "files": {"a": []}},
    {"classes": ["background", 3], "files": {}}, record_of("../evil"), record_of("/evil"),
], ids=str)  # fmt: skip
def test_a_record_that_predict_did_not_write(record):
    folder_of_masks(record)
    refuses(lambda: export("out"), r"masks/made_of\.json: is damaged; make the folder again with")
    assert not Path("out").exists()


@pytest.mark.parametrize("output, match", [
    ("evil.png/out", "cannot be written"), ("x" * 300, "File name too long"),
    ("/proc/out", "cannot be written"), ("loop", "is a link"), ("gone", "is a link"), ("", "holds"),
], ids=["below a file", "long", "/proc", "a loop", "a broken link", "nothing"])  # fmt: skip
def test_an_output_that_cannot_be(output, match):
    folder_of_masks(record_of())
    os.symlink("loop", "loop")
    os.symlink("nowhere", "gone")
    refuses(lambda: export(output), match)


def test_a_source_with_a_name_of_300_letters():
    read = read_source
    refuses(
        lambda: read("x" * 300, layout=Layout(), supervision="guide"), "xxx: not found; give gui"
    )


@pytest.mark.parametrize("content, match", [
    (b"caf\xe9\n", r"list\.txt: is not UTF-8"), ("a\n".encode("utf-16"), r"list\.txt: is not UT"),
    (b"../masks/a\n", r"list\.txt: '\.\./masks/a' is a path and no id"),
    (b"/etc/a\n", r"list\.txt: '/etc/a' is a path and no id"), (b"x" * 400, "have no prediction"),
    (b"a\nb\n", "1 of 2 images of list.txt have no prediction: b"), (b"\n", "holds no id"),
], ids=["Latin-1", "UTF-16", "..", "/", "long", "missing", "empty"])  # fmt: skip
def test_lists_for_the_server(content, match):
    folder_of_masks(record_of())
    write("list.txt", content)
    args = Path("masks"), Path("list.txt"), Path("r.tgz")
    refuses(lambda: export_voc(*args, competition="comp6"), match)
    assert not Path("r.tgz").exists()


def test_a_list_with_a_byte_order_mark_and_an_id_twice():
    folder_of_masks(record_of())
    write("list.txt", b"\xef\xbb\xbfa\r\na\r\n")
    assert export_voc(Path("masks"), Path("list.txt"), Path("r.tgz"), competition="comp6") == 1
