"""The first ten losses of each training, on twelve generated images of 64 px.

Each training runs on two networks, in float32, with one thread and without dropout. On a small
network without batch normalisation, differences in rounding do not grow: other vector instructions
of the processor change the losses by 2e-7 of their value. On the default trunk and head they
change them by 2e-3 (saliency network, segmenter) and 1.4e-2 (classifier, SEC), so the tolerance
there is wide. `test_training` shows that a changed rate, schedule or view changes the losses of
the small network beyond their tolerance.

Checked: `test_training` computes the first loss of each from the network's output by the formula,
in numpy. The later losses follow from it by torch's optimisers.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from pipeline.core import formats, runtime
from pipeline.core.params import read_yaml, section
from pipeline.dataset import shapes
from pipeline.nets import checkpoint
from pipeline.saliency.config import SaliencyNet
from pipeline.seeds import classifier
from pipeline.seeds.config import SeedModel
from pipeline.segment import deeplab, sec
from pipeline.segment.config import SegmentModel
from pipeline.training import fit
from pipeline.training.views import Views
from tests.golden import crf_cases, map_cases

IMAGES, STEPS, CLASSES = 12, 10, list(shapes.CLASSES)
TRAIN: dict[str, Any] = {
    "epochs": STEPS * 4 / IMAGES, "batch": 4, "size_px": 64, "optimizer": "sgd", "lr": 0.01,
    "weight_decay": 0.01, "schedule": "one_cycle", "head_lr_factor": 2, "scale": [0.8, 1.5],
    "jitter": 0.2, "frozen_stages": 2,
}  # fmt: skip
SMALL: dict[str, dict[str, Any]] = {
    "classifier": {"optimizer": "adamw", "lr": 2e-3, "weight_decay": 0.5},
    "saliency": {"schedule": "poly", "lr": 0.02},
    "segmenter": {"optimizer": "adamw", "lr": 1e-3, "schedule": "step"},
    "sec": {"lr": 0.002},
}
Losses = np.ndarray[Any, np.dtype[np.float64]]
LossOf = Callable[[nn.Module, Tensor, Any], Tensor]


def sections(name: str, *, small: bool, changes: dict[str, Any]) -> dict[str, Any]:
    """Return the params of the demo, with short trainings."""
    values = read_yaml(crf_cases.PRESET)
    train = TRAIN | (SMALL[name] | {"frozen_stages": 0} if small else {}) | changes
    for part in (values["seed"], values["saliency"]["options"]["net"], values["segment"]):
        part["train"] = train
    return values


def write_set(folder: Path) -> tuple[list[Path], list[Path], list[np.ndarray[Any, Any]]]:
    """Write images and masks as PNG. Return their paths, and the tag vectors."""
    images, masks, tags = [], [], []
    for i, scene in enumerate(shapes.labelled(IMAGES, size_px=64, random_seed=4, part=0)):
        images.append(folder / f"{i}.png")
        masks.append(folder / f"mask{i}.png")
        formats.write_image(images[-1], scene.image)
        formats.write_label(masks[-1], scene.label)
        tags.append(np.array([c in scene.tags for c in CLASSES], np.float32))
    return images, masks, tags


def built(spec: checkpoint.Spec) -> nn.Module:
    """Build the network of `spec` on a trunk with ImageNet weights."""
    kind = classifier.Classifier if spec["kind"] == classifier.KIND else deeplab.DeepLab
    return kind.from_spec(spec, weights="imagenet")


def small_net(spec: checkpoint.Spec) -> nn.Module:
    """Build two convolutions with the classifier's score layer, or with DeepLab v1's head."""
    trunk, outputs = map_cases.TinyTrunk(), len(spec["classes"])
    if spec["kind"] == "classifier":
        net = classifier.Classifier(trunk, classes=outputs, hidden="fc6", pooling="gap", options={})
    else:
        net = deeplab.DeepLab(trunk, head="v1", outputs=1 + outputs)
    map_cases.fill(net, seed=8)
    return net


@dataclass(frozen=True)
class Setup:
    """The arguments of `fit` in a training stage."""

    spec: checkpoint.Spec
    views: Views
    loss_of: LossOf

    def net(self, *, small: bool) -> nn.Module:
        """Return the network before its first step, without dropout."""
        runtime.seed_all(0)
        net = small_net(self.spec) if small else built(self.spec)
        for module in net.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        return net

    def losses(self, *, small: bool) -> Losses:
        """Train ten steps, and return their losses."""
        losses: list[float] = []

        def recorded(net: nn.Module, image: Tensor, target: Any) -> Tensor:
            loss = self.loss_of(net, image, target)
            losses.append(loss.item())
            return loss

        with tempfile.TemporaryDirectory() as folder:
            net, resume = self.net(small=small), Path(folder)
            fit.fit(net, self.views, recorded, resume=resume, title="golden")
        return np.array(losses)


def train_classifier(values: dict[str, Any], folder: Path) -> Setup:
    """Train the classifier on tags."""
    model = section(values, "seed", SeedModel)
    images, _, tags = write_set(folder)
    loss = classifier.LOSSES[model.loss]
    views = Views(images, tags, model.train, 0)
    return Setup(
        classifier.classifier_spec(model, CLASSES),
        views,
        lambda net, image, target: loss(net.scores(image), target),
    )


def train_saliency(values: dict[str, Any], folder: Path) -> Setup:
    """Train the saliency network on foreground and background."""
    model = section(values, "saliency.options.net", SaliencyNet)
    images, masks, _ = write_set(folder)
    for path in masks:
        label = formats.read_label(path)
        formats.write_label(path, np.where((label > 0) & (label < 255), 1, label).astype(np.uint8))
    return Setup(
        deeplab.deeplab_spec(model, head=model.head, classes=["salient"]),
        Views(images, masks, model.train, 0),
        lambda net, x, label: deeplab.pixel_loss(net(x), label, stride=model.loss_stride),
    )


def train_segmenter(values: dict[str, Any], folder: Path) -> Setup:
    """Train the segmenter on masks of five classes, with void pixels."""
    model = section(values, "segment", SegmentModel)
    images, masks, _ = write_set(folder)
    return Setup(
        deeplab.deeplab_spec(model, head=model.head, classes=CLASSES),
        Views(images, masks, model.train, 0),
        lambda net, x, label: deeplab.pixel_loss(net(x), label, stride=model.loss_stride),
    )


def train_sec(values: dict[str, Any], folder: Path) -> Setup:
    """Train by SEC on tags and cues. The cues are four of every sixteen rows of the masks."""
    values["segment"]["loss"] = "sec"
    model = section(values, "segment", SegmentModel)
    images, masks, tags = write_set(folder)
    options = model.option()
    for path in masks:
        label = formats.read_label(path)
        label[np.arange(len(label)) % 16 > 3] = 255
        formats.write_label(path, label)

    def loss_of(net: nn.Module, image: Tensor, target: Any) -> Tensor:
        logits, cue = deeplab.at_stride(net(image), target[0], stride=model.loss_stride)
        return sec.loss(logits, image, cue, target[1], options)

    views = Views(images, masks, model.train, 0, tags=tags)
    return Setup(deeplab.deeplab_spec(model, head=model.head, classes=CLASSES), views, loss_of)


TRAININGS = {
    "classifier": train_classifier,
    "saliency": train_saliency,
    "segmenter": train_segmenter,
    "sec": train_sec,
}


def first_losses(name: str, *, small: bool, **changes: Any) -> Losses:
    """Return ten losses of one of TRAININGS, with `changes` to its section `train`."""
    values = sections(name, small=small, changes=changes)
    with tempfile.TemporaryDirectory() as folder:
        return TRAININGS[name](values, Path(folder)).losses(small=small)


def compute() -> dict[str, Any]:
    """The losses on the small network."""
    return {name: first_losses(name, small=True) for name in TRAININGS}


def compute_default() -> dict[str, Any]:
    """The losses on the default trunk and head, from ImageNet weights."""
    return {name: first_losses(name, small=False) for name in TRAININGS}
