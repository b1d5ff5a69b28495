"""Files that try to run code, or to fill memory: one line says so, and nothing of them runs."""

import io
import json
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from app import chain
from pipeline.boxes import annotations
from pipeline.core import formats, shards, tars
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.markup import read_xml
from pipeline.core.params import read_yaml
from pipeline.nets import backbones, checkpoint, weights
from pipeline.saliency.config import SaliencyOnnx
from pipeline.saliency.onnx import onnx_model
from pipeline.segment.deeplab import DeepLab
from tests.conftest import ROOT


class Payload:
    """An object whose pickle creates the file RAN in the working folder."""

    def __reduce__(self):
        return os.system, ("touch RAN",)


@pytest.fixture(autouse=True)
def _nothing_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not Path("RAN").exists()


def refuses(read, *args, match, **keywords):
    with pytest.raises(UserError, match=match) as caught:
        read(*args, **keywords)
    assert "\n" not in str(caught.value)


def test_the_payload_does_run_in_an_unsafe_reader():
    pickle.loads(pickle.dumps(Payload()))
    assert Path("RAN").exists()
    Path("RAN").unlink()


def torch_files():
    whole, legacy = io.BytesIO(), io.BytesIO()
    torch.save({"a": Payload()}, whole)
    torch.save({"a": Payload()}, legacy, _use_new_zipfile_serialization=False)
    yield from (whole.getvalue(), legacy.getvalue())
    yield from (pickle.dumps(Payload(), protocol) for protocol in range(5))


@pytest.mark.parametrize("content", [*torch_files()])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_weights(content, suffix):
    path = Path("w" + suffix)
    path.write_bytes(content)
    refuses(weights.read_weights, path, match=f"w{suffix}: is not a PyTorch state dict")


@pytest.mark.parametrize("value", [[1], {"a": 1}, 3, None])
def test_weights_that_are_no_state_dict(value):
    torch.save(value, "w.pt")
    refuses(weights.read_weights, Path("w.pt"), match="it holds no tensor by name")


def test_empty_weights():
    Path("w.pt").touch()
    refuses(weights.read_weights, Path("w.pt"), match="is not a PyTorch state dict")


@pytest.mark.parametrize("name", ["vgg16-397923af.pth", "resnet50-11ad3fa6.pth"])
def test_downloaded_weights(name, monkeypatch):
    """Torch reads the file in its cache, as if it were just downloaded."""
    monkeypatch.setenv("TORCH_HOME", "cache")
    cached = Path("cache/hub/checkpoints") / name
    cached.parent.mkdir(parents=True)
    with cached.open("wb") as f:
        torch.save({"a": Payload()}, f)
    backbone = name.split("-")[0]
    match = f"weights 'imagenet' of {backbone}: the download failed"
    refuses(backbones.build, backbone, output_stride=16, weights="imagenet", match=match)


@pytest.mark.parametrize(
    "name", ["hf-hub:a/b", "hf_hub:a/b", "local-dir:/tmp", "a/b", "http://a/b"]
)
def test_a_backbone_that_names_a_place_is_refused_without_a_connection(name, monkeypatch):
    def connect(*_):
        Path("RAN").touch()

    monkeypatch.setattr("socket.socket.connect", connect)
    monkeypatch.setattr("socket.getaddrinfo", connect)
    match = "Unknown model"
    refuses(backbones.build, name, output_stride=16, weights="none", match=match)


def write_npz(members, *, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile("a.npz", "w", compression) as z:
        for name, content in members.items():
            z.writestr(name, content)
    return Path("a.npz")


def header(shape, descr="<f8"):
    out = io.BytesIO()
    fields = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, fields)
    return out.getvalue()


def array_files():
    objects, plain = io.BytesIO(), io.BytesIO()
    np.savez(objects, maps=np.array([Payload()], dtype=object))
    yield "objects in an npz", objects.getvalue()
    objects = io.BytesIO()
    np.save(objects, np.array([Payload()], dtype=object))
    yield "objects in an npy", objects.getvalue()
    np.save(plain, np.zeros(3))
    yield "an npy", plain.getvalue()
    yield "a pickle", pickle.dumps(Payload())
    yield "nothing", b""


@pytest.mark.parametrize(("_name", "content"), [*array_files()])
def test_arrays(_name, content):
    Path("a.npz").write_bytes(content)
    refuses(formats.read_arrays, Path("a.npz"), match=r"a\.npz: is not an npz file")


@pytest.mark.parametrize("shape", [(10**13,), (10**18, 10**18), (-1,)])
def test_an_array_that_claims_to_be_huge(shape):
    refuses(formats.read_arrays, write_npz({"maps.npy": header(shape)}), match="is not an npz file")


def test_an_npz_bomb_is_refused_before_it_is_unpacked(monkeypatch):
    monkeypatch.setattr(formats, "MAX_NPZ_BYTES", 1_000_000)
    path = write_npz({"maps.npy": header((10**6,)) + bytes(8 * 10**6)})
    assert path.stat().st_size < 20_000
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("unpacked"))
    refuses(formats.read_arrays, path, match="its arrays have 8000128 bytes")


def test_a_compressed_tar_is_refused():
    """Ours are not compressed, so reading a file of one takes no more memory than the tar."""
    with tarfile.open("00000.tar", "w:gz") as t:
        add(t, "a.npz", bytes(10**6))
    refuses(
        formats.read_arrays, Path("00000.tar/a.npz").absolute(), match=r"00000\.tar: is damaged"
    )


def test_a_tar_that_claims_a_huge_file_is_refused_before_it_is_read(monkeypatch):
    with tarfile.open("00000.tar", "w") as t:
        header = tarfile.TarInfo("a.npz")
        header.size = 8 << 30
        t.fileobj.write(header.tobuf())
    with Path("00000.tar").open("r+b") as f:
        f.truncate((8 << 30) + 2048)  # a file with a hole
    monkeypatch.setattr(tars, "_bytes", lambda *_: pytest.fail("read"))
    refuses(formats.read_arrays, Path("00000.tar/a.npz"), match="a.npz has 8589934592 bytes")


def add(tar, name, content=b"x", **header):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in header.items():
        setattr(info, key, value)
    tar.addfile(info, io.BytesIO(content))


def test_a_file_of_a_tar_is_never_written_to_disk_and_no_link_is_followed():
    folder = Path("folder").absolute()
    folder.mkdir()
    Path("secret.png").write_bytes(b"x")
    (folder / shards.RANGES).write_text('["a"]')
    with tarfile.open(folder / "00000.tar", "w") as t:
        add(t, "../RAN.png")
        add(t, "/RAN.png")
        add(t, "a.png", b"", type=tarfile.SYMTYPE, linkname="../secret.png")
        add(t, "b.png", b"", type=tarfile.LNKTYPE, linkname="../secret.png")
        add(t, "c.png", b"", type=tarfile.FIFOTYPE)
        add(t, "d.png", pax_headers={"GNU.sparse.map": "0,1", "GNU.sparse.size": "9"})
    assert not {"a", "b", "c", "d"} & shards.ids(folder)
    for name in ("RAN.png", "a.png", "b.png", "c.png", "d.png"):
        with pytest.raises(FileNotFoundError):
            shards.open_file(folder / name)
    files = {p.name for p in folder.parent.rglob("*") if p.is_file()}
    assert files == {"00000.tar", shards.RANGES, "secret.png"}


@pytest.mark.parametrize(
    "text",
    [
        "seed: !!python/object/apply:os.system ['touch RAN']",
        "!!python/object/new:os.system ['touch RAN']",
        "seed: !!python/name:os.system",
        "seed: !!python/module:os",
        "seed: !os.system touch RAN",
    ],
)
def test_params(text):
    Path("params.yaml").write_text(text)
    refuses(read_yaml, Path("params.yaml"), match="not valid YAML: could not determine")


def test_a_param_that_is_a_shell_command_is_refused_before_dvc_starts():
    """DVC puts these values into command lines. So `run` validates them first."""
    text = (ROOT / "presets/shapes.yaml").read_text()
    changed = text.replace("supervision: [guide]", 'supervision: ["guide; touch RAN"]')
    assert changed != text
    Path("params.yaml").write_text(changed)
    match = r"segment\.supervision\.0: .*'guide; touch RAN'"
    refuses(chain.prepare, Layout(Path()), target="train_segment", changes=[], match=match)


BOMB = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
DOCUMENTS = {
    "entities in entities": f'<!DOCTYPE a [<!ENTITY a0 "aaaaaaaaaa">{BOMB}]><a>&a9;</a>',
    "a long entity": f'<!DOCTYPE a [<!ENTITY b "{"b" * 9999}">]><a>{"&b;" * 9999}</a>',
    "a file": '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "a DTD of another server": '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a/>',
}


@pytest.mark.parametrize("kind", DOCUMENTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_xml_with_a_document_type(kind, encoding):
    Path("a.xml").write_text(DOCUMENTS[kind], encoding=encoding)
    refuses(annotations.read_voc, Path("a.xml"), match=r"a\.xml: has a document type; delete")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-7"])
def test_xml_whose_encoding_hides_the_document_type(encoding):
    text = f'<?xml version="1.0" encoding="{encoding}"?>{DOCUMENTS["a file"]}'
    Path("a.xml").write_bytes(text.replace("<!", "+ADwAIQ-").encode(encoding))
    refuses(read_xml, Path("a.xml"), hint="", match="is not UTF-8|not valid XML")


@pytest.mark.parametrize("side", ["inf", "-inf", "nan", "1e999", "x", ""])
def test_boxes_of_impossible_size(side):
    box = f"<xmin>1</xmin><ymin>1</ymin><xmax>{side}</xmax><ymax>2</ymax>"
    Path("a.xml").write_text(f"<a><object><name>cat</name><bndbox>{box}</bndbox></object></a>")
    refuses(annotations.read_voc, Path("a.xml"), match="an object has no bndbox")


@pytest.mark.parametrize("number", ["Infinity", "NaN", "1e999", '"1"', "null"])
def test_boxes_json_of_impossible_size(number):
    box = f'{{"image_id": 1, "category_id": 1, "bbox": [1, 2, {number}, 4]}}'
    head = '"images": [{"id": 1, "file_name": "a.jpg"}], "categories": [{"id": 1, "name": "cat"}]'
    Path("boxes.json").write_text(f'{{{head}, "annotations": [{box}]}}')
    refuses(annotations.read_coco, Path("boxes.json"), match="not in COCO format")


NET = {"kind": "deeplab", "backbone": "vgg16", "output_stride": 16, "head": "v1", "classes": ["a"]}
SPECS = [
    [], 1, None, "deeplab", {}, {"kind": "deeplab"},
    NET | {"backbone": 3}, NET | {"backbone": "os.system"}, NET | {"backbone": "__class__"},
    NET | {"head": ["v1"]}, NET | {"classes": 3}, NET | {"output_stride": "16"},
]  # fmt: skip


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_net_json(spec):
    folder = Path("net")
    weights.write_weights(folder / checkpoint.WEIGHTS, nn.Linear(2, 2).state_dict())
    (folder / "net.json").write_text(json.dumps(spec))
    refuses(checkpoint.load, folder, DeepLab.from_spec, match="^net: ")


def test_an_onnx_model_that_is_a_pickle():
    Path("m.onnx").write_bytes(pickle.dumps(Payload()))
    options = SaliencyOnnx(
        file=Path("m.onnx"), size_px=32, divide_by="max", mean=(0, 0, 0), std=(1, 1, 1)
    )
    refuses(onnx_model, options, match=r"m\.onnx: onnxruntime cannot read the model")
