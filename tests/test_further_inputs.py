"""Further inputs, as a careless and as a hostile user gives them, door by door.

None of them is a row of the first table under "Bad input" of docs/reliability.md. Each one ends in
one line that names the file or the param, or is right.
"""

import errno
import io
import json
import os
import shutil
import signal
import socket
import struct
import tempfile
import zlib
from pathlib import Path
from unittest import mock

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from onnx import helper as make
from PIL import Image, ImageCms

from app import chain, comparison, graph, presets, status, thresholds
from app.exports import masks as exports
from app.exports.source import read_source
from app.exports.voc_server import export_voc
from pipeline.boxes import annotations
from pipeline.boxes.grabcut import grabcut
from pipeline.core import decoding, faults, formats, markup, ranks, runtime, tables
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.maps import normalise
from pipeline.core.params import lay_over, validate
from pipeline.core.samples import Sample, write_samples
from pipeline.crf.config import Crf
from pipeline.nets import checkpoint, weights
from pipeline.params import Params, load_params
from pipeline.saliency import training_set
from pipeline.saliency.boxes import Boxed
from pipeline.saliency.config import SaliencyClassical, SaliencyFolder, SaliencyNet, SaliencyOnnx
from pipeline.saliency.geodesic import geodesic
from pipeline.saliency.onnx import onnx_model
from pipeline.segment.deeplab import DeepLab
from pipeline.training.augment import random_view
from stages import saliency as saliency_stage
from stages import train_saliency
from tests.conftest import photo
from tests.project import ROOT

PRESET = ROOT / "presets/shapes.yaml"
SECONDS = 20  # no case may wait for a pipe


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    def too_long(*_):
        raise TimeoutError("a case waits")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GUIDELABEL_WORKERS", "1")
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)


def refuses(call, match):
    with pytest.raises(UserError, match=match) as caught:
        call()
    assert "\n" not in str(caught.value)


def write(path, content):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(content if isinstance(content, bytes) else content.encode())
    return Path(path)


# --- kinds of files, for every reader


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


# --- images that are right


def png(colour_type, pixel):
    """Write 8x6 pixels of 16 bits for each channel."""
    rows = (b"\0" + struct.pack(f">{len(pixel)}H", *pixel) * 8) * 6
    out = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">IIBBBBB", 8, 6, 16, colour_type, 0, 0, 0)
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        out += struct.pack(">I", len(data)) + kind + data
        out += struct.pack(">I", zlib.crc32(kind + data))
    write("f", out)


def saved(mode, colour, kind, **options):
    Image.new(mode, (8, 6), colour).save("f", format=kind, **options)


def moving(kind):
    first, last = (Image.new("RGB", (8, 6), colour) for colour in ("red", "blue"))
    first.save("f", format=kind, save_all=True, append_images=[last], lossless=True)


LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
RIGHT = {
    "CMYK in a JPEG": (lambda: saved("CMYK", (0, 255, 255, 0), "JPEG"), (255, 0, 0)),
    "YCbCr in a TIFF": (lambda: saved("YCbCr", (128, 128, 128), "TIFF"), (128, 128, 128)),
    "16 bits with alpha": (lambda: png(6, (65535, 32768, 0, 65535)), (255, 128, 0)),
    "16-bit grey with alpha": (lambda: png(4, (32768, 65535)), (128, 128, 128)),
    "transparent": (lambda: saved("RGBA", (200, 100, 50, 0), "PNG"), (200, 100, 50)),
    "1 bit": (lambda: saved("1", 1, "PNG"), (255, 255, 255)),
    "animated PNG": (lambda: moving("PNG"), (255, 0, 0)),
    "animated WebP": (lambda: moving("WEBP"), (255, 0, 0)),
    "a colour profile of another space": (
        lambda: saved("RGB", (200, 100, 50), "PNG", icc_profile=LAB),
        (200, 100, 50),
    ),
    "garbage as EXIF": (
        lambda: saved("RGB", (200, 200, 200), "JPEG", exif=b"Exif\0\0no tags"),
        (200, 200, 200),
    ),
}


@pytest.mark.parametrize("kind", RIGHT)
def test_images_of_every_kind_are_read_right(kind):
    make_it, colour = RIGHT[kind]
    make_it()
    image = formats.read_image(Path("f"))
    assert image.shape == (6, 8, 3) and np.abs(image - np.array(colour, int)).max() <= 2
    assert decoding.read_header(Path("f")).frames == (2 if kind.startswith("animated") else 1)


@pytest.mark.parametrize("content", [
    "<svg xmlns='http://www.w3.org/2000/svg'/>", "<!DOCTYPE html><title>404</title>",
    "version https://git-lfs.github.com/spec/v1\noid sha256:1\n", b"\0\5\26\7\0\2\0\0Mac OS X",
], ids=["SVG", "a web page", "a pointer of Git LFS", "macOS's ._ file"])  # fmt: skip
def test_what_is_called_an_image(content):
    write("f.jpg", content)
    refuses(lambda: formats.read_image(Path("f.jpg")), r"f\.jpg: cannot be decoded \(it is not a")


def test_a_progressive_jpeg_that_was_cut_off():
    out = io.BytesIO()
    Image.fromarray(NOISE).resize((400, 300)).save(out, "JPEG", progressive=True)
    write("f.jpg", out.getvalue()[: len(out.getvalue()) // 3])
    refuses(lambda: formats.read_image(Path("f.jpg")), r"f\.jpg: cannot be decoded \(image file is")


NOISE = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
CLASSICAL = SaliencyClassical(superpixels=200, compactness=10)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 2), (1, 3000), (3000, 2)])
def test_images_of_few_pixels_and_narrow_ones(shape):
    image = np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8)
    salient = geodesic(image, CLASSICAL)
    assert salient.shape == shape and np.isfinite(salient).all()
    assert grabcut(image, [(0, 0, 1, 1)], iterations=1).shape == shape
    rng, label = np.random.default_rng(0), np.ones(shape, np.uint8)
    view, moved = random_view(image, label, size_px=32, scale=(0.5, 1.5), jitter=0.5, rng=rng)
    assert view.shape == (32, 32, 3) and set(np.unique(moved)) <= {1, 255}


def test_one_superpixel_has_no_saliency():
    assert not geodesic(NOISE, SaliencyClassical(superpixels=1, compactness=10)).any()


# --- params.yaml, -S and presets


def train(**changes):
    return {"seed": {"train": changes}}


BAD_PARAMS = {
    "epochs true": (train(epochs=True), "seed.train.epochs: must not be true or false"),
    "random_seed true": ({"random_seed": True}, "random_seed: must not be true or false"),
    "shard false": ({"shard": False}, "shard: must not be true or false"),
    "epochs of years": (train(epochs=1e9), "seed.train.epochs: Input should be less than or equal"),
    "a view of 16 million px": (train(size_px=16_000_000), "seed.train.size_px: Input should be"),
    "maps of 16 million px": (
        {"seed": {"maps": {"size_px": 16_000_000}}}, "seed.maps.size_px: must be 'native' or a who",
    ),
    "epochs 0": (train(epochs=0), "seed.train.epochs: Input should be greater than 0"),
    "lr 0": (train(lr=0), "seed.train.lr: Input should be greater than 0"),
    "batch 1": (train(batch=1), "seed.train.batch: Input should be greater than or equal to 2"),
    "size_px 16": (train(size_px=16), "seed.train.size_px: Input should be greater than or equal"),
    "no scale": ({"seed": {"maps": {"scales": []}}}, "seed.maps.scales: Tuple should have"),
    "a negative seed": ({"random_seed": -1}, "random_seed: Input should be greater than or equal"),
    "GrabCut's limits exchanged": (
        {"boxes": {"options": {"grabcut_plus": {"foreground": 0.1, "background": 0.9}}}},
        "boxes.options.grabcut_plus: foreground must be at least as large as background",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD_PARAMS)
def test_params_beyond_their_limits(params, kind):
    change, message = BAD_PARAMS[kind]
    lay_over(params, change)
    refuses(lambda: validate(Params, params, where=""), rf"^params\.yaml: {message}")


@pytest.mark.parametrize("change", [
    train(epochs=0.01), {"random_seed": 10**30},
    {"data": {"classes": [f"c{i}" for i in range(253)]}},
    {"fuse": {"seed_threshold": 0, "saliency_threshold": 0}},
    {"fuse": {"seed_threshold": 1, "saliency_threshold": 1}}, {"data": {"classes": ["one"]}},
], ids=str)  # fmt: skip
def test_params_at_their_limits(params, change):
    lay_over(params, change)
    validate(Params, params, where="")


def yaml_bomb():
    """Write a param whose aliases stand for 9^9 values."""
    levels = [f"&a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    lists = ", ".join(["&a0 [x, x, x, x, x, x, x, x, x]", *levels])
    return PRESET.read_text().replace("classes: [disc,", f"classes: [{lists}, disc,", 1)


@pytest.mark.parametrize("text, match", [
    ("[" * 5000, "not valid YAML: 51 brackets are open; close them"),
    ("{a: " * 5000, "not valid YAML: 51 brackets are open"),
    ("- " * 5000, "not valid YAML: "),
    (yaml_bomb(), "not valid YAML: its aliases stand for more than 100000 values"),
    ("a: &a [*a]", "not valid YAML: its aliases stand for more than"),
    (PRESET.read_text() + "---\na: 1\n", "not valid YAML: expected a single document"),
    (PRESET.read_text().replace("random_seed: 0", "random_seed: 1:30"), "random_seed: Input"),
], ids=["[", "{", "-", "aliases", "itself", "two documents", "1:30"])  # fmt: skip
def test_params_that_no_parser_should_see(text, match):
    signal.alarm(5)
    write("params.yaml", text)
    refuses(lambda: load_params(Path("params.yaml")), rf"^params\.yaml: {match}")


@pytest.mark.parametrize("change, match", [
    ("params.yaml:random_seed=-4", r"params\.yaml: random_seed: Input should be greater"),
    ("optional/dvc.yaml:x=1", r"optional/dvc\.yaml holds no params; name one of params\.yaml"),
    ("seed.train.epochs=1,2", "has no valid value"),
    ("seed.train.epochs=range(1,3)", "has no valid value"),
    ("data.root=${nope}", "has no valid value"),
    (" random_seed=3", "did you mean random_seed"),
    ("random_seed=", "random_seed: Input should be a valid integer"),
    ("=3", "no such param"),
])  # fmt: skip
def test_minus_s(change, match):
    shutil.copy(PRESET, "params.yaml")
    refuses(lambda: chain.changed_params(Layout(), [change]), match)


def test_minus_s_that_names_params_yaml():
    shutil.copy(PRESET, "params.yaml")
    assert chain.changed_params(Layout(), ["params.yaml:random_seed=7"]).random_seed == 7


def test_use_in_a_sub_folder():
    refuses(
        lambda: presets.use(Layout(), "photos"), "presets/shapes.yaml: not found; run from the p"
    )


@pytest.mark.parametrize("file, text, match", [
    ("presets/shapes.yaml", "a: [", r"^presets/shapes\.yaml: not valid YAML"),
    ("presets/shapes.yaml", "- a", r"^presets/shapes\.yaml: must contain sections"),
    ("presets/shapes.yaml", "random_seed: 0\n", r"^presets/shapes\.yaml: shard is missing"),
    ("presets/photos.yaml", "", r"^presets/photos\.yaml: must contain sections"),
    ("presets/photos.yaml", "seed: {trian: 3}", r"^presets/photos\.yaml: seed\.trian: no such par"),
    ("data", "", r"^data/params_before\.yaml: cannot be written"),
])  # fmt: skip
def test_use_among_edited_files(file, text, match):
    shutil.copytree(ROOT / "presets", "presets")
    old = shutil.copy(PRESET, "params.yaml")
    before = Path(old).read_bytes()
    write(file, text)
    refuses(lambda: presets.use(Layout(), "photos"), match)
    assert Path(old).read_bytes() == before


@pytest.mark.parametrize("make_it, match", [(os.mkdir, "cannot be written"), (os.mkfifo, None)])
def test_use_where_params_yaml_is_no_file(make_it, match):
    shutil.copytree(ROOT / "presets", "presets")
    make_it("params.yaml")
    if match:
        refuses(lambda: presets.use(Layout(), "photos"), match)
    else:
        presets.use(Layout(), "photos")
        assert load_params(Path("params.yaml")).data.source == "folder"


# --- boxes


def sample(key="a", tags=("cat",), size=(30, 40)):
    return Sample(key, Path(f"images/{key}.png"), "train", tuple(tags), *size, "digest")


def coco(bbox, file_name="a.png", categories=((1, "cat"),)):
    content = {
        "images": [{"id": 1, "file_name": file_name}],
        "categories": [{"id": key, "name": name} for key, name in categories],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": bbox}],
    }
    write("boxes.json", json.dumps(content))
    return annotations.read_class_boxes(Path("boxes.json"), [sample()], ["cat"])["a"]


@pytest.mark.parametrize("bbox, match", [
    ([1000, 1000, 50, 50], r"image 'a' has 40x30 px, but a box at \[1000, 1000, 50, 50\]; correct"),
    ([0, 0, 4000, 3000], "has 40x30 px, but a box"),
    ([-90, -90, 50, 50], "has 40x30 px, but a box"),
    ([0, 0, 1e300, 1e300], "has 40x30 px, but a box"),
    ([10, 10, -5, -5], r"\[10, 10, -5, -5\], whose width or height is negative, in annotations\[0"),
    ([0.1, 0.2, 0.5, 0.4], "all boxes are at most 1 px large; write px, not fractions"),
    ([True, True, True, True], "all boxes are at most 1 px large"),
], ids=str)  # fmt: skip
def test_boxes_that_no_object_has(bbox, match):
    refuses(lambda: coco(bbox), rf"^boxes\.json: .*{match}")


def test_boxes_whose_border_leaves_the_image_and_paths_of_windows():
    assert coco([-2, 25, 20, 8], file_name="train\\a.png") == ((1, (-2, 25, 20, 8)),)


def test_two_categories_of_one_id():
    box, two = [1, 2, 9, 9], ((1, "cat"), (1, "dog"))
    refuses(lambda: coco(box, categories=two), r"boxes\.json: several categories have the id 1")


def test_boxes_that_are_not_there():
    read = annotations.read_class_boxes
    refuses(
        lambda: read(Path("b.json"), [sample()], ["cat"]), r"b\.json: not found; .* boxes\.path"
    )


def voc(name, *corners):
    sides = "".join(
        f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
    )
    box = f"<object><name>{name}</name><bndbox>{sides}</bndbox></object>"
    write("xml/a.xml", f"<annotation>{box}</annotation>")
    return annotations.read_class_boxes(Path("xml"), [sample()], ["cat"])["a"]


def test_voc_boxes():
    assert voc("\n cat\t", 1, 2, 13, 14) == ((1, (0, 1, 13, 13)),)
    refuses(
        lambda: voc("cat", 30, 20, 5, 5), r"a\.xml: an object has no bndbox .* minimum is above"
    )
    refuses(lambda: voc("cat", 300, 200, 350, 250), "^xml: image 'a' has 40x30 px, but a box")
    refuses(lambda: voc("cat", "1,000", 2, 13, 14), r"a\.xml: an object has no bndbox")


# --- the training set of the saliency network


def saliency_net(params, **changes):
    options = params["saliency"]["options"]["net"]
    lay_over(options, {"root": "set", **changes})
    return validate(SaliencyNet, options, where="saliency.options.net")


def test_a_list_of_images_to_leave_out(params):
    for name in ("a", "b c", "d"):
        photo(Path(f"set/images/{name}.png"))
        photo(Path(f"set/masks/{name}.png"))
    net = saliency_net(params, train_set="masks")
    write("set/exclude.txt", "\ufeffa\r\nb c\r\n")
    (left,), out = training_set.read_training_set(net, target_classes=[])
    assert left.image.stem == "d" and out == 2
    write("set/exclude.txt", b"caf\xe9\n")
    read = training_set.read_training_set
    refuses(lambda: read(net, target_classes=[]), r"exclude\.txt: is not UTF-8 \(line 1\)")


def test_saliency_boxes_of_a_larger_image(params):
    photo(Path("set/images/a.png"))
    boxed = Boxed(Path("set/images/a.png"), ((900, 900, 80, 80),))
    label = training_set.first_label
    refuses(
        lambda: label(boxed, saliency_net(params)), r"set/boxes\.json: image 'a\.png' has 40x30"
    )


def test_a_box_returns_to_its_first_label_in_every_later_round(params):
    net, path = saliency_net(params), Path("labels/a.png")
    photo(Path("set/images/a.png"))
    boxed = Boxed(Path("set/images/a.png"), ((5, 5, 20, 15),))
    first = training_set.first_label(boxed, net)
    crf = Crf(
        iterations=0, smooth_w=3, smooth_sxy=3, bilateral_w=4, bilateral_sxy=9, bilateral_srgb=5
    )
    nothing = boxed, np.full((8, 8), 0.01, np.float32)  # the network misses the object
    for number, before in ((2, first), (3, np.zeros_like(first))):
        formats.write_label(path, before)
        train_saliency._write_next_label(
            nothing, net=net, folder=Path("labels"), crf=crf, number=number
        )
        assert first.any() and (formats.read_label(path) == first).all()


# --- saliency maps that somebody gives


def give_map(image):
    Path("maps").mkdir(exist_ok=True)
    image.save("maps/a.png")
    options = SaliencyFolder(root=Path("maps"))
    ((_, found),) = saliency_stage._folder(Layout(), [sample()], options)
    return found


@pytest.mark.parametrize("image, match", [
    (Image.new("L", (30, 40), 9), r"maps/a\.png: has 30x40 px, but its image 40x30; turn the map"),
    (Image.fromarray(NOISE), r"maps/a\.png: is in colour, but a saliency map is grey"),
    (Image.new("RGBA", (40, 30), (200, 90, 30, 0)), r"maps/a\.png: is in colour"),
    (Image.new("P", (40, 30), 1), None),
], ids=["turned", "a heat map", "a cut-out", "a palette of grey"])  # fmt: skip
def test_maps_of_other_kinds(image, match):
    if match:
        refuses(lambda: give_map(image), match)
    else:
        image.putpalette([v for v in range(256) for _ in range(3)])
        assert np.allclose(give_map(image), 1 / 255)


def test_class_indices_as_a_map():
    label = np.zeros((30, 40), np.uint8)
    label[5:9] = 1
    formats.write_label(Path("label.png"), label)
    refuses(lambda: give_map(Image.open("label.png")), r"maps/a\.png: is in colour")


def test_square_maps_and_16_bits_are_right():
    assert give_map(Image.new("L", (320, 320), 51)).shape == (30, 40)
    assert give_map(Image.fromarray(np.full((30, 40), 65535, np.uint16))).min() == 1


# --- exported saliency models


def model(nodes, *, shape=(1, 3, 32, 32), kind=TensorProto.FLOAT, inputs=("x",), outputs=("y",)):
    """Write a model of `nodes`, each (operator, inputs, output, attributes); return its map."""
    graph = make.make_graph(
        [make.make_node(op, ins, [out], **options) for op, ins, out, options in nodes],
        "graph",
        [make.make_tensor_value_info(name, kind, shape) for name in inputs],
        [make.make_empty_tensor_value_info(name) for name in outputs],
    )
    made = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)])
    made.ir_version = 8
    write("m.onnx", made.SerializeToString())
    options = SaliencyOnnx(
        file=Path("m.onnx"), size_px=32, divide_by="max", mean=(0, 0, 0), std=(1, 1, 1)
    )
    return onnx_model(options)(NOISE)


def mean(out="y"):
    return "ReduceMean", ["x"], out, {"axes": [1], "keepdims": 1}


ZERO = [mean("m"), ("Sub", ["m", "m"], "0", {})]
WRONG_MODELS = {
    "NaN": ([*ZERO, ("Div", ["0", "0"], "y", {})], {}, "has numbers that are not finite; correct"),
    "infinite": ([*ZERO, ("Div", ["m", "0"], "y", {})], {}, "has numbers that are not finite"),
    "two inputs": (
        [("Add", ["x", "z"], "y", {})], {"inputs": ("x", "z")}, "has 2 inputs, but must have one",
    ),
    "half precision": ([mean()], {"kind": TensorProto.FLOAT16}, r"input is tensor\(float16\), but"),
    "channels last": ([mean()], {"shape": (1, 32, 32, 3)}, r"shape \[1, 32, 32, 3\], but images h"),
    "another size": ([mean()], {"shape": (1, 3, 64, 64)}, r"images have \[1, 3, 32, 32\]; correct"),
    "a vector": ([("GlobalAveragePool", ["x"], "y", {})], {}, r"shape \(1, 3, 1, 1\), but must be"),
    "a list": ([("SequenceConstruct", ["x"], "y", {})], {}, r"no shape \(list\), but must be one"),
    "texts": ([("Cast", ["x"], "y", {"to": TensorProto.STRING})], {}, "but must be one map"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG_MODELS)
def test_models_that_give_no_map(kind):
    nodes, options, match = WRONG_MODELS[kind]
    refuses(lambda: model(nodes, **options), rf"^m\.onnx: .*{match}")


def test_models_with_three_outputs_or_free_sizes_are_right():
    more = [mean(), ("Abs", ["y"], "z", {}), ("Neg", ["y"], "w", {})]
    three = model(more, outputs=("y", "z", "w"))
    free = model([mean()], shape=("n", 3, "h", "w"))
    assert three.shape == (30, 40) and (three == free).all() and three.max() > 0
    assert not normalise(model([*ZERO, ("Abs", ["0"], "y", {})])).any()


def test_a_model_whose_weights_lie_elsewhere():
    tensor = make.make_tensor(
        "w", TensorProto.FLOAT, [1], np.ones(1, np.float32).tobytes(), raw=True
    )
    onnx.external_data_helper.set_external_data(tensor, "../../../etc/passwd")
    tensor.ClearField("raw_data")
    image = make.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 32, 32])
    node, out = make.make_node("Mul", ["x", "w"], ["y"]), make.make_empty_tensor_value_info("y")
    made = make.make_model(
        make.make_graph([node], "g", [image], [out], [tensor]),
        opset_imports=[make.make_opsetid("", 17)],
    )
    made.ir_version = 8
    write("m.onnx", made.SerializeToString())
    options = SaliencyOnnx(
        file=Path("m.onnx"), size_px=32, divide_by="max", mean=(0, 0, 0), std=(1, 1, 1)
    )
    refuses(lambda: onnx_model(options), r"m\.onnx: onnxruntime cannot read the model")


# --- folders of networks


class Tiny(torch.nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)


SPEC = {"kind": "deeplab", "backbone": "x", "output_stride": 16, "head": "v1", "classes": ["cat"]}


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(value):
    state = Tiny(SPEC).state_dict()
    state["layer.bias"][1] = value
    weights.write_weights(Path("net") / checkpoint.WEIGHTS, state)
    formats.write_json(Path("net/net.json"), SPEC)
    refuses(
        lambda: checkpoint.load(Path("net"), Tiny), "safetensors: holds numbers that are not fin"
    )


@pytest.mark.parametrize("classes", [["cat", "cat"], ["background", "cat"], ["", "cat"]])
def test_networks_whose_classes_nobody_could_tell_apart(classes):
    refuses(
        lambda: DeepLab.from_spec(SPEC | {"classes": classes}),
        r"net\.json: classes: must be different names, without background",
    )


# --- exports


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


# --- compare


SCORES = {"about": {}, "classifier": {"val": {"mAP": 50.0}}}


def compare(one="a", **files):
    for name in ("a", "b"):
        formats.write_json(Path(name) / "data/scores/seed.json", SCORES)
    for path, text in files.items():
        write(f"a/data/scores/{path}.json", text)
    return comparison.describe(Layout(), one, "b")


@pytest.mark.parametrize("text", [
    "[]", "3", "null", '{"classifier": 3}', '{"classifier": {"val": 3}}',
    '{"classifier": {"val": {"mAP": "x"}}}', '{"classifier": {"val": {"mAP": NaN}}}',
])  # fmt: skip
def test_scores_that_somebody_edited(text):
    refuses(lambda: compare(seed=text), r"a/data/scores/seed\.json: is not a score file; delete it")


@pytest.mark.parametrize("name", ["x" * 5000, "--help", "HEAD", "loop"])
def test_runs_that_do_not_exist(name):
    os.symlink("loop", "loop")
    refuses(lambda: compare(name), "neither a folder nor a git revision")


def test_runs_that_have_no_score_in_common():
    assert compare(seed='{"about": {}}')[-1] == "no score that both runs have"


def test_counts_without_the_ids_of_their_images():
    for name in ("a", "b"):
        file = Path(name) / "data/scores/seed/counts.npz"
        formats.write_arrays(file, {"classifier.val.mAP": np.zeros((2, 2, 3), int)})
    assert compare()[-1].startswith(comparison.NO_COUNTS)


# --- status


def test_a_log_that_somebody_changed():
    formats.write_json(Layout().log / "prepare.json", [])
    refuses(lambda: status._log(Layout(), "prepare"), r"prepare\.json: is not the log of a stage")


def test_a_chain_without_stages(params):
    write("dvc.yaml", "a: {}")
    values = validate(Params, params, where="")
    refuses(lambda: graph.address("fuse", values), r"dvc\.yaml: has no section 'stages'; restore")


# --- thresholds


def test_thresholds_without_a_train_image(params):
    write_samples(Layout().samples, [])
    values = validate(Params, params, where="")
    for folder in (Layout().maps, Layout().saliency(values.saliency.source)):
        folder.mkdir(parents=True)
    refuses(lambda: thresholds.choose(Layout(), values), r"samples\.csv: lists no train image; run")


# --- the environment


@pytest.mark.parametrize("name, value, read", [
    ("GUIDELABEL_WORKERS", "9999999", runtime.workers),
    ("GUIDELABEL_WORKERS", "4.0", runtime.workers),
    ("GUIDELABEL_NPROC", "99999999", ranks.launcher), ("GUIDELABEL_NPROC", "-1", ranks.launcher),
    ("GUIDELABEL_DEVICE", "meta", runtime.device), ("GUIDELABEL_DEVICE", "CPU", runtime.device),
    ("GUIDELABEL_MAX_MEGAPIXELS", "1e3", decoding.max_megapixels),
])  # fmt: skip
def test_environment_variables(monkeypatch, name, value, read):
    monkeypatch.setenv(name, value)
    refuses(read, f"^{name}={value}: ")


def test_no_folder_for_temporary_files():
    with (
        mock.patch.object(tempfile, "_candidate_tempdir_list", lambda: ["/nowhere"]),
        mock.patch.object(tempfile, "tempdir", None),
        pytest.raises(FileNotFoundError) as caught,
    ):
        tempfile.mkdtemp()
    assert "make room in /tmp or set TMPDIR" in faults.explain(caught.value)


def test_a_disk_that_is_full_while_a_cell_is_copied():
    full = shutil.Error([("pipeline/a.py", "cell/a.py", f"[Errno 28] {os.strerror(errno.ENOSPC)}")])
    assert faults.explain(full).startswith("cell/a.py: the disk is full; make room, then run the")
    assert faults.explain(shutil.Error([("a", "b", "[Errno 13] Permission denied")])) == ""
