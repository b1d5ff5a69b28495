"""Outputs of a segmenter and a training step of a small net, for tests that compare two runs.

The runs differ only in the device and the precision that `use` sets.
"""

import numpy as np
import torch

from pipeline.core import formats
from pipeline.core.config import Infer, Train
from pipeline.core.samples import Sample
from pipeline.inference import infer
from pipeline.nets import backbones
from pipeline.segment import deeplab
from pipeline.training import fit
from pipeline.training.views import Views
from tests.conftest import photo
from tests.small_fit import Small

TRAIN = Train(
    epochs=1, batch=4, size_px=32, optimizer="sgd", lr=0.1, weight_decay=0.0, schedule="poly",
    head_lr_factor=1, scale=(0.5, 1.5), jitter=0.1, frozen_stages=0,
)  # fmt: skip


def photos(folder):
    """Write four photographs of 64x48 px, each with a label: I.png and lI.png."""
    for i in range(4):
        photo(folder / f"{i}.png", size=(64, 48), seed=i)
        label = np.random.default_rng(i).integers(0, 2, (48, 64)).astype(np.uint8)
        formats.write_label(folder / f"l{i}.png", label)


def use(monkeypatch, *, device="cpu", precision="float32"):
    """Choose device and precision."""
    monkeypatch.setenv("GUIDELABEL_DEVICE", device)
    monkeypatch.setenv("GUIDELABEL_PRECISION", precision)


def segment(folder):
    """Return the logits (4, 3, h, w) of a DeepLab on a pretrained trunk."""
    torch.manual_seed(0)
    trunk = backbones.build("efficientnet_lite0", output_stride=16, weights="imagenet")
    net = deeplab.DeepLab(trunk, head="v3plus", outputs=3)
    samples = [Sample(str(i), folder / f"{i}.png", "val", (), 48, 64, "") for i in range(4)]
    options = Infer(size_px=64, scales=(1.0,), flip=True)
    pairs = infer.run(net, samples, options, title="test")
    logits = {s.id: outputs[0] for s, outputs in pairs}
    return torch.stack([logits[s.id] for s in samples])


def step(folder):
    """Train a small net for one step; return the loss, and by how much the weights changed."""
    torch.manual_seed(0)
    net = Small()
    before = torch.cat([p.detach().flatten() for p in net.parameters()]).clone()
    images, labels = ([folder / f"{name}{i}.png" for i in range(4)] for name in ("", "l"))
    views = Views(images, labels, TRAIN, seed=0)
    ((loss, _),) = fit.fit(
        net, views, lambda net, image, label: deeplab.pixel_loss(net(image), label, stride=1),
        resume=folder / "resume", title="test",
    )  # fmt: skip
    (folder / "resume/state.pt").unlink()
    assert {p.dtype for p in net.parameters()} == {torch.float32}
    after = torch.cat([p.detach().cpu().flatten() for p in net.parameters()])
    return loss, after - before


def assert_near(values, expected, *, share):
    """Check that no value differs by more than `share` of the largest expected value."""
    assert expected.abs().max() > 1e-3
    assert (values - expected).abs().max() <= share * expected.abs().max()
