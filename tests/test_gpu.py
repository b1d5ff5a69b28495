"""What runs on a GPU gives what the CPU gives. Without CUDA every test here is skipped."""

import numpy as np
import pytest
import torch

from pipeline.core import runtime
from pipeline.nets import checkpoint
from pipeline.saliency import training_set
from pipeline.saliency.onnx import onnx_model
from pipeline.segment import deeplab
from tests import tiny_nets
from tests.pipeline.saliency.test_sources import onnx_options, red_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]
FLOAT32 = 0.01  # of the largest value: cuDNN's convolutions may round to TF32, 11 bits
BFLOAT16 = 0.08  # as on the CPU, tests/pipeline/nets/test_precision.py


@pytest.fixture
def photos(tmp_path):
    tiny_nets.photos(tmp_path)
    return tmp_path


def test_auto_is_cuda_and_the_record_names_the_card(monkeypatch):
    tiny_nets.use(monkeypatch, device="auto", precision="auto")
    assert runtime.device().type == "cuda"
    assert runtime.describe()["device"] == torch.cuda.get_device_name(0)


@pytest.mark.parametrize(("precision", "share"), [("float32", FLOAT32), ("bfloat16", BFLOAT16)])
def test_outputs_on_cuda_are_near_the_cpus(photos, monkeypatch, precision, share):
    tiny_nets.use(monkeypatch)
    expected = tiny_nets.segment(photos)
    tiny_nets.use(monkeypatch, device="cuda", precision=precision)
    before = torch.cuda.memory_stats()["allocation.all.allocated"]
    found = tiny_nets.segment(photos)
    assert torch.cuda.memory_stats()["allocation.all.allocated"] > before  # it did run there
    assert found.device.type == "cpu"
    tiny_nets.assert_near(found, expected, share=share)


@pytest.mark.parametrize(("precision", "share"), [("float32", FLOAT32), ("bfloat16", BFLOAT16)])
def test_a_step_on_cuda_is_near_the_cpus(photos, monkeypatch, precision, share):
    tiny_nets.use(monkeypatch)
    loss, moved = tiny_nets.step(photos)
    tiny_nets.use(monkeypatch, device="cuda", precision=precision)
    found_loss, found = tiny_nets.step(photos)
    assert found_loss == pytest.approx(loss, rel=share)
    tiny_nets.assert_near(found, moved, share=share)


def test_a_network_saved_on_cuda_loads_on_the_cpu_with_the_same_weights(tmp_path, monkeypatch):
    tiny_nets.use(monkeypatch, device="cuda")
    spec = {
        "kind": "deeplab", "backbone": "efficientnet_lite0", "output_stride": 16,
        "head": "v3plus", "classes": ["a"],
    }  # fmt: skip
    net = deeplab.DeepLab.from_spec(spec).to(runtime.device())
    checkpoint.save(tmp_path, net, spec, [(1.0, None)])
    tiny_nets.use(monkeypatch, device="cpu")
    back, _ = checkpoint.load(tmp_path, deeplab.DeepLab.from_spec)
    for key, value in back.state_dict().items():
        assert value.device.type == "cpu" and torch.equal(value, net.state_dict()[key].cpu()), key


def test_an_onnx_model_runs_on_cuda_where_onnxruntime_can(tmp_path):
    import onnxruntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime is built without CUDA")
    assert training_set._providers(onnxruntime)[0][0] == "CUDAExecutionProvider"
    red_model(tmp_path / "m.onnx")
    image = np.zeros((32, 32, 3), np.uint8)
    image[:16, :, 0] = 204
    found = onnx_model(onnx_options(tmp_path / "m.onnx"))(image)
    assert found[8, 8] == pytest.approx(0.8, rel=1e-3) and found[24, 8] == 0
