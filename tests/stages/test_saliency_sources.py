"""The stage `saliency` with an exported model, and with maps in a folder."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.core.samples import read_samples

SIDE = 64  # of the tiny generated images: nothing is resized
MEAN, STD = (0.1, 0.2, 0.3), (0.5, 0.25, 2.0)


def squared_channel(path, channel):
    """Write an ONNX model whose map is the square of one channel of its input."""
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, c, SIDE, SIDE])
            for n, c in (("image", 3), ("map", 1))]  # fmt: skip
    index = helper.make_tensor("index", TensorProto.INT64, [1], [channel])
    nodes = [
        helper.make_node("Gather", ["image", "index"], ["one"], axis=1),
        helper.make_node("Mul", ["one", "one"], ["map"]),
    ]
    graph = helper.make_graph(nodes, "squared_channel", ends[:1], ends[1:], [index])
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)


def levels(path):
    """The grey levels of a saliency map."""
    return np.round(255 * formats.read_grey(path)).astype(int)


@pytest.mark.parametrize(("divide_by", "channel"), [("255", 0), ("255", 2), ("max", 1)])
def test_maps_of_an_onnx_model_are_its_output_for_the_normalised_image(
    project, tmp_path, divide_by, channel
):
    model = tmp_path / "model.onnx"
    squared_channel(model, channel)
    options = {"file": str(model), "size_px": SIDE, "divide_by": divide_by}
    options |= {"mean": list(MEAN), "std": list(STD)}
    project.change({"saliency": {"source": "onnx", "options": {"onnx": options}}})
    project.stages("saliency onnx")
    layout = Layout()
    samples = read_samples(layout.samples)
    assert {p.stem for p in layout.saliency("onnx").iterdir()} == {s.id for s in samples}
    for s in samples:
        image = formats.read_image(s.image).astype(float)
        x = image[..., channel] / (image.max() if divide_by == "max" else 255)
        output = ((x - MEAN[channel]) / STD[channel]) ** 2
        expected = 255 * (output - output.min()) / np.ptp(output)
        grey = levels(layout.saliency("onnx") / f"{s.id}.png")
        assert np.abs(grey - expected).max() <= 0.6, s.id
    project.stages("fuse", "diffuse", "evaluate_saliency")
    about = formats.read_json(layout.scores("saliency"))["about"]
    assert about["saliency"] == "onnx" and "pixel masks" in about["saliency_trained_on"]


def test_maps_of_a_folder_are_resized_and_divided_by_their_maximum(project, tmp_path):
    layout = Layout()
    samples = read_samples(layout.samples)
    for i, s in enumerate(samples):  # half the size, with values up to 0.5
        formats.write_grey(
            tmp_path / f"{s.id}.png", np.full((32, 32), 0.5) * (i + 1) / len(samples)
        )
    right_half = np.zeros((32, 32))
    right_half[:, 16:] = 0.5
    formats.write_grey(tmp_path / f"{samples[0].id}.png", right_half)
    project.change(
        {"saliency": {"source": "folder", "options": {"folder": {"root": str(tmp_path)}}}}
    )
    project.stages("saliency folder")
    first, *others = (levels(layout.saliency("folder") / f"{s.id}.png") for s in samples)
    assert first.shape == (SIDE, SIDE)
    assert (first[:, :31] == 0).all() and (first[:, 33:] == 255).all()
    assert all((other == 255).all() for other in others)


def test_an_error_names_the_map_that_a_folder_lacks(project, tmp_path):
    project.change(
        {"saliency": {"source": "folder", "options": {"folder": {"root": str(tmp_path)}}}}
    )
    done = project.here("-m", "stages", "saliency", "folder", check=False)
    first = read_samples(Layout().samples)[0].id
    assert done.returncode == 1
    named = f"32 of 32 images have no map ID.png: {first}, "
    assert f"error: saliency_folder: {tmp_path}: {named}" in done.stderr
