"""The runner of exported models, on a network of one convolution."""

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper

from pipeline.core.errors import UserError
from pipeline.inference import infer
from pipeline.inference.onnx_net import FILE, OnnxSegmenter
from pipeline.inference.sizes import base_size, views
from tests.contracts.imports import ROOT

WEIGHT = np.random.default_rng(0).normal(size=(3, 3, 16, 16)).astype(np.float32)
METADATA = {
    "classes": ["background", "cat", "Füße"], "size_px": 96, "scales": [1.0, 0.5, 1.5],
    "flip": True, "grid_px": 16,
}  # fmt: skip


def write(file, **changes):
    """Write a model whose logits are a convolution with stride 16, and which ignores `long_px`."""
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["x"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["x", "weight"], ["logits"], strides=[16, 16]),
    ]
    inputs = [
        helper.make_tensor_value_info("image", TensorProto.UINT8, [1, "H", "W", 3]),
        helper.make_tensor_value_info("long_px", TensorProto.INT64, []),
    ]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3, "h", "w"])]
    constants = [numpy_helper.from_array(WEIGHT, "weight")]
    graph = helper.make_graph(nodes, "g", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    values = {**METADATA, **changes}
    helper.set_model_props(model, {k: json.dumps(v) for k, v in values.items() if v is not None})
    onnx.save(model, file)


def of_torch(image, *, size_px, scales, flip):
    """Return what inference with torch computes."""
    size = base_size(*image.shape[:2], size_px=size_px, stride=16)
    images = [
        torch.from_numpy(view.transpose(2, 0, 1).copy())[None]
        for view in views(image, size, scales, stride=16)
    ]
    outputs = infer.forward(
        lambda x, _: F.conv2d(x.float(), torch.from_numpy(WEIGHT), stride=16), [], images, flip=flip
    )
    return infer.merge(list(outputs))[0].numpy()


@pytest.mark.parametrize("shape", [(61, 131), (131, 61), (48, 96)])
@pytest.mark.parametrize(
    "options",
    [
        {"size_px": 96, "scales": (1.0, 0.5, 1.5), "flip": True},
        {"size_px": "native", "scales": (1.0,), "flip": False},
        {"size_px": 200, "scales": (0.3,), "flip": True},
    ],
)
def test_logits_are_those_of_inference_with_torch(tmp_path, rng, monkeypatch, shape, options):
    monkeypatch.setenv("GUIDELABEL_DEVICE", "cpu")
    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    write(tmp_path / FILE, **options)
    logits = OnnxSegmenter.load(tmp_path).logits(image)
    expected = of_torch(image, **options)
    assert logits.shape == expected.shape and logits.dtype == np.float32
    assert np.abs(logits - expected).max() <= 1e-4 * np.abs(expected).max()


def test_a_file_and_its_folder_load_alike(tmp_path):
    write(tmp_path / FILE)
    for path in (tmp_path, tmp_path / FILE):
        net = OnnxSegmenter.load(path)
        assert net.classes == ("background", "cat", "Füße")
        assert (net.size_px, net.scales, net.flip, net.grid_px) == (96, (1.0, 0.5, 1.5), True, 16)


def test_other_files_are_refused_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"none\.onnx: not found; export the model again with"):
        OnnxSegmenter.load(tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(UserError, match=r"bad\.onnx: onnxruntime cannot read the model; export"):
        OnnxSegmenter.load(tmp_path / "bad.onnx")
    for changes in ({"classes": None}, {"scales": None}):
        write(tmp_path / "other.onnx", **changes)
        with pytest.raises(UserError, match=r"other\.onnx: `export model` did not write this file"):
            OnnxSegmenter.load(tmp_path / "other.onnx")


def test_running_a_model_imports_neither_torch_nor_pydantic(tmp_path):
    write(tmp_path / FILE)
    code = (
        "import sys, numpy\n"
        "from pathlib import Path\n"
        "from pipeline.inference.onnx_net import OnnxSegmenter\n"
        f"net = OnnxSegmenter.load(Path({str(tmp_path)!r}))\n"
        "net.logits(numpy.zeros((50, 70, 3), numpy.uint8))\n"
        "print({'torch', 'pydantic', 'timm', 'scipy', 'skimage', 'onnx'} & {*sys.modules})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("set()\n", "")
