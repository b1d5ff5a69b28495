"""The GPU gives nearly what the CPU gives. Without CUDA, all these tests are skipped."""

import numpy as np
import pytest
import torch

from pipeline.core import runtime
from pipeline.core.errors import UserError
from pipeline.nets import checkpoint
from pipeline.saliency.onnx import _providers, onnx_model
from pipeline.segment import deeplab
from tests import tiny_nets
from tests.pipeline.saliency.test_sources import onnx_options, red_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]
# The largest difference, as a share of the largest value.
FLOAT32 = 0.01  # cuDNN's convolutions may round to TF32, 11 bits
BFLOAT16 = 0.08  # as on the CPU, tests/pipeline/nets/test_precision.py


@pytest.fixture
def photos(tmp_path):
    tiny_nets.photos(tmp_path)
    return tmp_path


def test_auto_chooses_cuda_and_the_record_names_the_card(monkeypatch):
    tiny_nets.use(monkeypatch, device="auto", precision="auto")
    assert runtime.device().type == "cuda"
    assert runtime.describe()["device"] == torch.cuda.get_device_name(0)


@pytest.mark.parametrize(("precision", "share"), [("float32", FLOAT32), ("bfloat16", BFLOAT16)])
def test_outputs_on_cuda_are_near_the_cpus(photos, monkeypatch, precision, share):
    tiny_nets.use(monkeypatch)
    expected = tiny_nets.segment(photos)
    tiny_nets.use(monkeypatch, device="cuda", precision=precision)
    before = torch.cuda.memory_stats()["allocation.all.allocated"]
    logits = tiny_nets.segment(photos)
    assert torch.cuda.memory_stats()["allocation.all.allocated"] > before  # it ran on the GPU
    assert logits.device.type == "cpu"
    tiny_nets.assert_near(logits, expected, share=share)


@pytest.mark.parametrize(("precision", "share"), [("float32", FLOAT32), ("bfloat16", BFLOAT16)])
def test_a_step_on_cuda_is_near_the_cpus(photos, monkeypatch, precision, share):
    tiny_nets.use(monkeypatch)
    cpu_loss, cpu_update = tiny_nets.step(photos)
    tiny_nets.use(monkeypatch, device="cuda", precision=precision)
    loss, update = tiny_nets.step(photos)
    assert loss == pytest.approx(cpu_loss, rel=share)
    tiny_nets.assert_near(update, cpu_update, share=share)


def test_a_loss_that_is_not_finite_on_cuda_names_its_batch(photos, monkeypatch):
    """Without a traceback, and the device still works."""
    tiny_nets.use(monkeypatch, device="cuda")
    whole = deeplab.pixel_loss
    monkeypatch.setattr(deeplab, "pixel_loss", lambda *a, **kw: whole(*a, **kw) + float("nan"))
    with pytest.raises(UserError, match=r"loss of step 1 of \d+ is not finite; .*: .*\.png"):
        tiny_nets.step(photos)
    assert not (photos / "resume/state.pt").exists()
    assert float(torch.ones(1, device="cuda")) == 1


def test_a_network_saved_on_cuda_loads_on_the_cpu_with_the_same_weights(tmp_path, monkeypatch):
    tiny_nets.use(monkeypatch, device="cuda")
    spec = {
        "kind": "deeplab", "backbone": "efficientnet_lite0", "output_stride": 16,
        "head": "v3plus", "classes": ["a"],
    }  # fmt: skip
    net = deeplab.DeepLab.from_spec(spec).to(runtime.device())
    checkpoint.save(tmp_path, net, spec, [(1.0, None)])
    tiny_nets.use(monkeypatch, device="cpu")
    loaded, _ = checkpoint.load(tmp_path, deeplab.DeepLab.from_spec)
    for key, value in loaded.state_dict().items():
        assert value.device.type == "cpu" and torch.equal(value, net.state_dict()[key].cpu()), key


def test_an_onnx_model_runs_on_cuda_if_onnxruntime_can(tmp_path):
    import onnxruntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime is built without CUDA")
    assert _providers(onnxruntime)[0] == "CUDAExecutionProvider"
    red_model(tmp_path / "m.onnx")
    image = np.zeros((32, 32, 3), np.uint8)
    image[:16, :, 0] = 204
    saliency = onnx_model(onnx_options(tmp_path / "m.onnx"))(image)
    assert saliency[8, 8] == pytest.approx(0.8, rel=1e-3) and saliency[24, 8] == 0
