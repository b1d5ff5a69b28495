"""Valid files of each kind: the inputs from which the fuzzer starts."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from pipeline.core import formats, shards

PICTURES = ("PNG", "JPEG", "BMP", "WEBP", "TIFF", "GIF")
BOXES = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}],
    "categories": [{"id": 1, "name": "cat"}],
    "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 0}],
}
XML = (
    "<annotation><size><width>9</width><height>9</height></size><object><name>cat</name>"
    "<difficult>0</difficult><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax>"
    "</bndbox></object></annotation>"
)
NET = {
    "kind": "deeplab", "backbone": "efficientnet_lite0", "output_stride": 16, "head": "v1",
    "classes": ["a"],
}  # fmt: skip
COLOURS = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3) * 4
LABEL = np.array([[0, 1, 2], [255, 0, 1]], np.uint8)


def written(name: str, write: Callable[[Path], object]) -> bytes:
    """Return the bytes that `write` writes into a file of this name."""
    with TemporaryDirectory() as folder:
        write(Path(folder) / name)
        return (Path(folder) / name).read_bytes()


def picture(kind: str, array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, kind)
    return stream.getvalue()


def weights(suffix: str) -> bytes:
    import torch

    from pipeline.nets.weights import write_weights

    state = {"a.weight": torch.ones(2, 3), "a.bias": torch.zeros(2)}
    if suffix == ".safetensors":
        return written(f"w{suffix}", lambda path: write_weights(path, state))
    return written(f"w{suffix}", lambda path: torch.save(state, path))


def archive() -> bytes:
    """Return an archive of label images, as `pack` writes it."""
    with TemporaryDirectory() as folder:
        for name in "ab":
            formats.write_label(Path(folder) / f"{name}.png", LABEL)
        shards.pack(Path(folder), ["a", "b"], per_shard=2)
        return next(Path(folder).glob("*.tar")).read_bytes()


def tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as f:
        folder = tarfile.TarInfo("images")
        folder.type = tarfile.DIRTYPE
        f.addfile(folder)
        entry = tarfile.TarInfo("images/a.txt")
        entry.size = 3
        f.addfile(entry, io.BytesIO(b"abc"))
    return stream.getvalue()


def arrays() -> bytes:
    maps, classes = np.ones((2, 3, 4), np.float32), np.array([1, 2], np.uint8)
    return written("a.npz", lambda path: formats.write_maps(path, maps, classes))


def label() -> bytes:
    return written("b.png", lambda path: formats.write_label(path, LABEL))


SEEDS: dict[str, Callable[[], list[bytes]]] = {  # target -> valid inputs
    "table": lambda: [b"id,tags\na,cat dog\n", b'id;tags\n"a";"cat, dog"\n'],
    "image": lambda: [picture(kind, COLOURS) for kind in PICTURES],
    "label": lambda: [label(), picture("PNG", LABEL)],
    "mask": lambda: [picture("PNG", LABEL), picture("PNG", LABEL.astype(np.uint16) * 257)],
    "params": lambda: [Path("presets/shapes.yaml").read_bytes(), b"a: {b: [1, 1e-4, true, x]}\n"],
    "boxes": lambda: [json.dumps(BOXES).encode()],
    "xml": lambda: [XML.encode()],
    "net": lambda: [json.dumps(NET).encode()],
    "weights": lambda: [weights(".pt")],
    "safetensors": lambda: [weights(".safetensors")],
    "arrays": lambda: [arrays()],
    "archive": lambda: [archive()],
    "unpack": lambda: [tar()],
    "fuse": lambda: [bytes(range(1, 120))],
}
