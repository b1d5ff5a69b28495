from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.maps import normalise
from pipeline.core.params import read_yaml
from pipeline.crf.config import Crf
from pipeline.saliency import training_set
from pipeline.saliency.config import SALIENCY_OPTIONS, SaliencyClassical, SaliencyNet, SaliencyOnnx
from pipeline.saliency.geodesic import geodesic
from pipeline.saliency.onnx import _providers, onnx_model
from pipeline.scores.saliency import saliency_scores
from tests.conftest import ROOT, photo


@pytest.fixture
def net_options(params, tmp_path):
    values = params["saliency"]["options"]["net"] | {"root": str(tmp_path)}
    return SaliencyNet.model_validate(values)


def test_normalise_by_the_own_maximum():
    assert normalise(np.array([[0.1, 0.4]], np.float32)).tolist() == [[0.25, 1.0]]
    assert normalise(np.zeros((2, 2), np.float32)).max() == 0


def test_geodesic_finds_a_central_object(rng):
    image = rng.integers(60, 70, (80, 100, 3)).astype(np.uint8)
    image[25:55, 30:70] = (220, 60, 60)
    options = SaliencyClassical(superpixels=150, compactness=10)
    found = normalise(geodesic(image, options))
    assert found[30:50, 35:65].mean() > 0.9 and found[:15].mean() < 0.2


def red_model(path, channel=0, squared=False):
    """An ONNX model whose map is one colour channel, or its square."""
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, c, 32, 32])
            for n, c in (("x", 3), ("y", 1))]  # fmt: skip
    index = helper.make_tensor("i", TensorProto.INT64, [1], [channel])
    last = helper.make_node("Mul", ["c", "c"] if squared else ["c", "one"], ["y"])
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    nodes = [helper.make_node("Gather", ["x", "i"], ["c"], axis=1), last]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [index, one])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)


def onnx_options(path, **kw):
    values = {"file": path, "size_px": 32, "divide_by": "255", "mean": (0, 0, 0), "std": (1, 1, 1)}
    return SaliencyOnnx(**values | kw)


def test_onnx_model_sees_rgb_in_the_asked_range(tmp_path):
    red_model(tmp_path / "m.onnx")
    image = np.zeros((64, 96, 3), np.uint8)
    image[:, :48, 0] = 200
    found = onnx_model(onnx_options(tmp_path / "m.onnx"))(image)
    assert found.shape == (64, 96)
    assert found[:, :40].min() == pytest.approx(200 / 255, abs=0.02) and found[:, 56:].max() < 0.02
    by_max = onnx_model(onnx_options(tmp_path / "m.onnx", divide_by="max"))(image)
    assert by_max.max() == pytest.approx(1)


def test_onnx_model_sees_mean_and_std_of_each_channel(tmp_path):
    """A model that squares its input shows where 0 lies; the map is less its own minimum."""
    image = np.zeros((32, 32, 3), np.uint8)
    image[:16] = (102, 153, 204)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 2.0)
    for channel, value in enumerate((0.4, 0.6, 0.8)):
        red_model(tmp_path / "m.onnx", channel, squared=True)
        options = onnx_options(tmp_path / "m.onnx", mean=mean, std=std)
        found = onnx_model(options)(image)
        light, dark = (((v - mean[channel]) / std[channel]) ** 2 for v in (value, 0))
        assert found[8, 8] == pytest.approx(light - dark, rel=1e-4) and found[24, 8] == 0


def test_missing_and_broken_onnx_are_named(tmp_path):
    with pytest.raises(UserError, match=r"saliency\.options\.onnx\.file"):
        onnx_model(onnx_options(tmp_path / "none.onnx"))
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(UserError, match=r"bad\.onnx: onnxruntime cannot read the model"):
        onnx_model(onnx_options(tmp_path / "bad.onnx"))


def test_mask_sets_leave_listed_images_out(tmp_path, net_options):
    for key in ("a", "b", "c"):
        photo(tmp_path / "images" / f"{key}.jpg")
        mask = np.zeros((30, 40), np.uint8)
        mask[:, :10] = 255
        formats.write_grey(tmp_path / "masks" / f"{key}.png", mask / 255)
    options = net_options.model_copy(update={"train_set": "masks"})
    with pytest.raises(UserError, match=r"exclude\.txt: not found, and this set does not tell"):
        training_set.read_training_set(options, target_classes=["dog"])
    (tmp_path / "exclude.txt").write_text("b\n")
    kept, left_out = training_set.read_training_set(options, target_classes=["dog"])
    assert [b.image.stem for b in kept] == ["a", "c"] and left_out == 1
    label = training_set.first_label(kept[0], options)
    assert set(np.unique(label)) == {0, 1} and label.sum() == 300


def test_listed_images_are_left_out_of_a_set_with_boxes_too(tmp_path, net_options):
    """Beside those with a target class; MSRA's boxes name no class."""
    names = ("a", "b", "c", "d")
    formats.write_json(tmp_path / "boxes.json", {
        "images": [{"id": i, "file_name": f"0/{n}.jpg"} for i, n in enumerate(names)],
        "categories": [{"id": 1, "name": "salient object"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {"image_id": i, "category_id": 2 if n == "d" else 1, "bbox": [1, 1, 5, 5]}
            for i, n in enumerate(names)
        ],
    })  # fmt: skip
    (tmp_path / "exclude.txt").write_text("b\n")
    kept, left_out = training_set.read_training_set(net_options, target_classes=["dog"])
    assert [b.image.stem for b in kept] == ["a", "c"] and left_out == 2
    (tmp_path / "exclude.txt").write_text("a\nb\nc\n")
    with pytest.raises(UserError, match=r"no image is left .* remove ids from exclude"):
        training_set.read_training_set(net_options, target_classes=["dog"])


LAYOUTS = {
    "own": ("images", "masks"),
    "ECSSD": ("images", "ground_truth_mask"),
    "DUTS": ("DUTS-TR-Image", "DUTS-TR-Mask"),
    "MSRA10K": ("Imgs", "Imgs"),
}


@pytest.mark.parametrize("folders", LAYOUTS.values(), ids=LAYOUTS)
def test_each_known_layout_of_a_mask_set_is_read(tmp_path, net_options, folders):
    photo(tmp_path / folders[0] / "a.jpg")
    formats.write_grey(tmp_path / folders[1] / "a.png", np.ones((30, 40)))
    (tmp_path / "exclude.txt").touch()
    options = net_options.model_copy(update={"train_set": "masks"})
    (one,), left_out = training_set.read_training_set(options, target_classes=[])
    assert one.image == tmp_path / folders[0] / "a.jpg" and left_out == 0
    assert (training_set.first_label(one, options) == 1).all()


def test_a_folder_that_is_no_mask_set_is_named(tmp_path, net_options):
    options = net_options.model_copy(update={"train_set": "masks"})
    with pytest.raises(UserError, match="none of these pairs of folders: images/ and masks/"):
        training_set.read_training_set(options, target_classes=[])


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        (["CPUExecutionProvider"], ["CPUExecutionProvider"]),
        (
            ["TensorrtExecutionProvider", "CPUExecutionProvider", "CUDAExecutionProvider"],
            ["CUDAExecutionProvider", "CPUExecutionProvider"],
        ),
    ],
)
def test_onnx_runs_on_cuda_before_the_cpu_where_it_can(there, wanted):
    runtime = SimpleNamespace(get_available_providers=lambda: there)
    assert _providers(runtime) == wanted


def test_denoising_round_on_a_small_copy(tmp_path, net_options):
    from pipeline.saliency.boxes import Boxed

    photo(tmp_path / "a.png", size=(400, 200))
    boxed = Boxed(tmp_path / "a.png", ((100, 50, 200, 100),))
    first = training_set.first_label(boxed, net_options)
    assert max(first.shape) == net_options.train.size_px
    sure = np.zeros((20, 40), np.float32)
    sure[5:15, 10:30] = 1
    crf = Crf(iterations=5, smooth_w=3, smooth_sxy=3, bilateral_w=4, bilateral_sxy=80,
              bilateral_srgb=5)  # fmt: skip
    after = training_set.next_label(boxed, first, sure, net_options, crf)
    assert after.shape == first.shape and (after == 1).mean() == pytest.approx(0.25, abs=0.05)


def test_every_source_says_what_it_learned_from():
    assert set(saliency_scores.TRAINED_ON) == set(SALIENCY_OPTIONS)
    stages = read_yaml(ROOT / "optional/dvc.yaml")["stages"]
    made = {name.removeprefix("saliency_") for name in stages if name.startswith("saliency_")}
    assert made == set(saliency_scores.TRAINED_ON)
