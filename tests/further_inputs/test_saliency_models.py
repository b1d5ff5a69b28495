"""Exported saliency models."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx import helper as make

from pipeline.core.maps import normalise
from pipeline.saliency.config import SaliencyOnnx
from pipeline.saliency.onnx import onnx_model
from tests.further_inputs.doors import NOISE, refuses, write


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
