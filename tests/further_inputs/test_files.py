"""What is no file, at every reader."""

import os
import socket
from pathlib import Path

import pytest

from pipeline.boxes import annotations
from pipeline.core import formats, markup, tables
from pipeline.params import load_params
from tests.conftest import photo
from tests.further_inputs.doors import refuses


def pipe(path):
    os.mkfifo(path)


def bound_socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path)


def sparse(path):
    Path(path).touch()
    os.truncate(path, 200 << 30)


KINDS = {
    "a pipe": (pipe, "is a pipe, a socket or a device; replace it by a file"),
    "a socket": (bound_socket, "is a pipe, a socket or a device"),
    "a device without end": (
        lambda path: os.symlink("/dev/zero", path),
        "is a pipe, a socket or a",
    ),
    "200 GB that take no space": (sparse, "has 214.7 GB, and at most .* are read"),
    "a link to itself": (lambda path: os.symlink(path, path), "Too many levels of symbolic links"),
    "a folder": (os.mkdir, "Is a directory"),
}
READERS = {
    "image": lambda: formats.read_image(Path("f")),
    "mask": lambda: formats.read_label(Path("f")),
    "saliency map": lambda: formats.read_grey(Path("f")),
    "table": lambda: tables.read(Path("f"), columns=("id", "tags")),
    "boxes.json": lambda: annotations.read_coco(Path("f")),
    "XML": lambda: markup.read_xml(Path("f"), hint=""),
    "params.yaml": lambda: load_params(Path("f")),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file(reader, kind):
    make_it, match = KINDS[kind]
    make_it("f")
    refuses(READERS[reader], rf"^f: .*{match}")


def test_a_good_image_with_an_endless_tail():
    photo(Path("f.png"))
    os.truncate("f.png", 200 << 30)
    refuses(lambda: formats.read_image(Path("f.png")), r"f\.png: has 214\.7 GB")
