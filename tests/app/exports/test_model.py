"""Exported models against the network in PyTorch."""

import json

import numpy as np
import onnx
import pytest
import torch
from timm.layers import Conv2dSame
from torch import nn

from app.exports import model_files, portable
from app.exports.model import export_model
from pipeline.core import formats
from pipeline.core.config import Infer
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.inference import infer
from pipeline.inference.onnx_net import FILE, OnnxSegmenter
from pipeline.inference.sizes import base_size, views
from pipeline.nets import checkpoint, rewrite
from pipeline.nets.trunk import Trunk
from pipeline.segment.deeplab import DeepLab
from tests.conftest import SOAK

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.load. is deprecated:FutureWarning")
INFER = Infer(size_px=96, scales=(1.0, 1.5), flip=True)
FILE_FORMATS = ("onnx", "torchscript")
TRUNKS = [  # each family of trunks and each head once; the others are of the same families
    ("efficientnet_lite0", 16, "v3plus"), ("vgg16_deeplab", 8, "v1"), ("resnet18", 16, "v3"),
    ("mobilenetv3_small_050", 32, "v2"),
    *(
        pytest.param(*trunk, marks=SOAK)
        for trunk in [
            ("efficientnet_lite0", 8, "v3plus"), ("vgg16", 32, "v2"), ("resnet50", 16, "v3"),
            ("mobilenetv3_small_050", 32, "v3plus"),
        ]
    ),
]  # fmt: skip


def small_net():
    """Return a DeepLab with all that an export rewrites, and statistics that are not the first."""
    torch.manual_seed(0)
    stages = [
        nn.Sequential(Conv2dSame(i, o, k, stride=2, bias=False), nn.BatchNorm2d(o), nn.ReLU())
        for i, o, k in ((3, 4, 3), (4, 6, 5), (6, 8, 3), (8, 8, 2))
    ]
    stages[-1].append(nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8))
    trunk = Trunk(stages, [2, 4, 8, 16], mean=(120.0, 110.0, 100.0), std=(60.0, 55.0, 50.0))
    trunk.channels = {2: 4, 4: 6, 8: 8, 16: 8}
    rewrite.interleave(trunk)
    net = DeepLab(trunk, head="v3plus", outputs=3)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.uniform_(-0.2, 0.2)
            layer.running_var.uniform_(0.02, 0.1)
    return net.eval()


def trained(folder, net, spec, predict=INFER):
    """Save a network, and return it as an export reads it."""
    spec = {"kind": "deeplab", "classes": ["cat", "Füße"], **spec}
    checkpoint.save(folder, net, spec, [(1.0, None)])
    return model_files.Trained(folder, net, spec, predict)


@pytest.fixture
def small(tmp_path):
    spec = {"backbone": "small", "output_stride": 16, "head": "v3plus"}
    return trained(tmp_path / "trained", small_net(), spec)


def export(model, folder, name):
    folder.mkdir()
    return model_files.write_model(model, folder, name=name)


def run_file(folder, name, image):
    """Return what a file alone computes: label and logits."""
    if name == "onnx":
        outputs = OnnxSegmenter.load(folder).session.run(None, {"image": image[None]})
    else:
        outputs = torch.jit.load(folder / "model.pt")(torch.from_numpy(image)[None])
    return [np.asarray(o)[0] for o in outputs]


def of_torch(model, image, predict):
    """Return the logits that inference with torch computes."""
    grid_px = max(16, *model.net.strides)
    size = base_size(*image.shape[:2], size_px=predict.size_px, stride=grid_px)
    images = [
        torch.from_numpy(view.transpose(2, 0, 1).copy())[None]
        for view in views(image, size, predict.scales, stride=grid_px)
    ]
    folded = rewrite.fold(model.net)
    with torch.inference_mode():
        outputs = list(infer.forward(lambda x, _: folded(x), [], images, flip=predict.flip))
    return infer.merge(outputs)[0].numpy()


def near(values, expected, share=1e-4):
    assert values.shape == expected.shape
    return np.abs(values - expected).max() <= share * np.abs(expected).max()


@pytest.mark.parametrize("name", FILE_FORMATS)
def test_a_file_takes_images_of_any_size(small, tmp_path, name):
    """Sizes and shapes differ from those of the trace."""
    assert export(small, tmp_path / "out", name).logits < 1e-4
    one_view = Infer(size_px=96, scales=(1.0,), flip=False)
    for height, width in ((145, 193), (301, 97), (33, 40), (96, 96)):
        image = model_files.random_image(401)[:height, :width]
        label, logits = run_file(tmp_path / "out", name, image)
        expected = of_torch(small, image, one_view)
        assert near(logits, expected, 0.02)  # the file may round a grey level otherwise
        assert label.shape == (height, width) and label.dtype == np.uint8
        full = torch.nn.functional.interpolate(
            torch.from_numpy(expected)[None], (height, width), mode="bilinear"
        )
        assert len(np.unique(label)) > 1 and (label != full[0].argmax(0).numpy()).mean() < 0.01


def test_the_runner_computes_what_torch_does(small, tmp_path):
    export(small, tmp_path / "out", "onnx")
    net = OnnxSegmenter.load(tmp_path / "out")
    for height, width in ((145, 193), (301, 97)):
        image = model_files.random_image(401)[:height, :width]
        assert near(net.logits(image), of_torch(small, image, INFER))


def test_native_size_needs_no_number(small, tmp_path):
    native = Infer(size_px="native", scales=(1.0,), flip=False)
    model = model_files.Trained(small.folder, small.net, small.spec, native)
    export(model, tmp_path / "out", "onnx")
    image = model_files.random_image(141)
    _, logits = run_file(tmp_path / "out", "onnx", image)
    assert near(logits, of_torch(small, image, native), 0.02)
    assert near(OnnxSegmenter.load(tmp_path / "out").logits(image), of_torch(small, image, native))


@pytest.mark.parametrize("name", FILE_FORMATS)
def test_the_description_is_in_the_file_and_beside_it(small, tmp_path, name):
    export(small, tmp_path / "out", name)
    beside = formats.read_json(tmp_path / "out" / model_files.DESCRIPTION)
    if name == "onnx":
        properties = onnx.load(tmp_path / "out" / FILE).metadata_props
        inside = {p.key: json.loads(p.value) for p in properties}
    else:
        texts = {model_files.DESCRIPTION: ""}
        torch.jit.load(tmp_path / "out/model.pt", _extra_files=texts)
        inside = json.loads(texts[model_files.DESCRIPTION])
    assert inside == beside
    assert beside["classes"] == ["background", "cat", "Füße"]
    assert (beside["stride"], beside["grid_px"], beside["size_px"]) == (8, 16, 96)
    assert (beside["scales"], beside["flip"]) == ([1.0, 1.5], True)
    assert (beside["mean"], beside["std"]) == ([120.0, 110.0, 100.0], [60.0, 55.0, 50.0])
    assert "area means" in beside["preprocessing"] and len(beside["version"]) == 16


def test_equal_models_give_equal_bytes(small, tmp_path):
    for folder in ("1", "2"):
        export(small, tmp_path / folder, "onnx")
    assert (tmp_path / "1" / FILE).read_bytes() == (tmp_path / "2" / FILE).read_bytes()


def test_safetensors_are_the_files_of_the_training(small, tmp_path):
    assert export(small, tmp_path / "out", "safetensors") is None
    for name in ("net.json", "weights.safetensors"):
        assert (tmp_path / "out" / name).read_bytes() == (small.folder / name).read_bytes()


def test_a_file_that_computes_something_else_is_refused(small, tmp_path, monkeypatch):
    wrong = portable.Padded.forward
    monkeypatch.setattr(portable.Padded, "forward", lambda layer, x: wrong(layer, x.flip(2)))
    with pytest.raises(UserError, match="'onnx' cannot hold backbone 'small': logits differ by"):
        export(small, tmp_path / "out", "onnx")


def test_a_network_that_cannot_be_traced_is_one_line(small, tmp_path, monkeypatch):
    monkeypatch.setattr(portable.Padded, "forward", lambda layer, x: x.numpy())
    with pytest.raises(UserError, match=r"cannot hold backbone 'small': .*choose another format"):
        export(small, tmp_path / "out", "torchscript")


def test_onnx_without_its_package_is_one_line(small, tmp_path, monkeypatch):
    monkeypatch.setattr(model_files.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="needs the package onnx; run `pip install onnx`"):
        export(small, tmp_path / "out", "onnx")


def test_what_the_command_refuses_leaves_no_folder(tmp_path):
    layout = Layout(tmp_path)
    for source, name, message in (
        ("guide", "tflite", "no format 'tflite'; choose one of onnx, torchscript, safetensors"),
        ("guide", "onnx", "no network was trained there; run `python cli.py run` first"),
        (str(tmp_path), "onnx", "no network was trained there"),
    ):
        with pytest.raises(UserError, match=message):
            export_model(source, tmp_path / "out", name=name, layout=layout, predict=INFER)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("kernel, stride, rate", [(3, 2, 1), (5, 2, 1), (2, 2, 1), (3, 4, 2)])
def test_padding_is_that_of_timm_at_multiples_of_the_stride(kernel, stride, rate):
    conv = Conv2dSame(2, 3, kernel, stride=stride, dilation=rate)
    image = torch.randn(1, 2, 8 * stride, 5 * stride)
    expected = conv(image)
    conv.__class__ = portable.Padded
    assert torch.equal(conv(image), expected)


@pytest.mark.parametrize("shape", [(300, 400), (301, 97), (70, 50), (96, 96), (20, 96)])
def test_resizing_is_opencvs_up_to_one_grey_level(small, shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    size = base_size(*shape, size_px=96, stride=16)
    (view,) = views(image, size, (1.0,), stride=16)
    resized = small.portable._resize(torch.from_numpy(image)[None], torch.tensor(96))
    difference = np.abs(resized[0].permute(1, 2, 0).numpy() - view)
    linear = size[1] >= shape[1]  # OpenCV then computes with 11 bits
    assert difference.max() <= 1 and (difference > 0).mean() < (0.2 if linear else 0.02)


@pytest.mark.slow
@pytest.mark.parametrize("backbone, stride, head", TRUNKS)
def test_every_trunk_can_be_exported(tmp_path, backbone, stride, head):
    torch.manual_seed(0)
    spec = {"backbone": backbone, "output_stride": stride, "head": head, "classes": ["a", "b"]}
    weights = "imagenet" if backbone == "efficientnet_lite0" else "none"
    net = DeepLab.from_spec({"kind": "deeplab", **spec}, weights=weights).eval()
    predict = Infer(size_px=96, scales=(1.0, 1.5), flip=True)
    model = trained(tmp_path / "trained", net, spec, predict)
    for name in FILE_FORMATS:
        difference = export(model, tmp_path / name, name)
        assert difference.logits <= 1e-3 * difference.highest
    runner, image = OnnxSegmenter.load(tmp_path / "onnx"), model_files.random_image(171)
    assert near(runner.logits(image), of_torch(model, image, predict), 1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", model_files.FORMATS)
def test_the_command_exports_the_last_run(project, name):
    """With a card; and `predict --model` takes the folder of safetensors."""
    out, copied = project.root / "a model", project.root / "copied"
    call = ("cli.py", "export", "model", "guide", "--format", name, "-o", str(out))
    said = project.here(*call, "--push", str(copied)).stdout
    assert f"model.json, {'model.' if name != 'safetensors' else 'net.json'}" in said
    assert ("logits differ by at most" in said) == (name in FILE_FORMATS)
    assert {p.name: p.read_bytes() for p in copied.iterdir()} == {
        p.name: p.read_bytes() for p in out.iterdir()
    }
    card = (out / "README.md").read_text()
    assert "| segmenter | mIoU |" in card and "24 images to learn from" in card
    if name == "safetensors":
        photo = next((project.root / "data/raw/shapes/images").iterdir())
        masks = project.root / "masks"
        project.here("cli.py", "predict", str(photo), "--model", str(out), "-o", str(masks))
        assert (masks / f"{photo.stem}.png").exists()
