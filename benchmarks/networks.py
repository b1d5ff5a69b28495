"""Training steps and class maps, against the bare networks and other ways to compute the same."""

from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.data import CLASSES, project
from benchmarks.measure import Row, compare
from pipeline.core import formats, runtime
from pipeline.core.config import Infer, Train
from pipeline.core.layout import Layout
from pipeline.core.params import read_yaml
from pipeline.core.samples import Sample
from pipeline.inference import infer, whole
from pipeline.nets import backbones, rewrite
from pipeline.nets.rewrite import Interleaved
from pipeline.nets.trunk import Trunk
from pipeline.seeds import classifier
from pipeline.segment import deeplab
from pipeline.training import fit, optim
from pipeline.training.views import Views, tag_vectors

BASE = read_yaml(Path("presets/shapes.yaml"))
STEPS = 24  # with fewer steps, most of the time would be the start of the loader
IMAGES = {"efficientnet_lite0": 64, "resnet50": 24}


def trunk(classify: bool, name: str = "efficientnet_lite0") -> Trunk:
    return backbones.build(name, output_stride=16, weights="none", classify=classify)


def _classifier(name: str = "efficientnet_lite0") -> classifier.Classifier:
    built, classes = trunk(True, name), len(CLASSES)
    return classifier.Classifier(built, classes=classes, hidden="none", pooling="gap", options={})


def train_params(size_px: int, batch: int) -> Train:
    changes = {"epochs": 1, "size_px": size_px, "batch": batch, "frozen_stages": 2}
    return Train.model_validate(BASE["seed"]["train"] | changes)


def bare_step(
    net: torch.nn.Module, loss_of: fit.LossOf, train: Train, target: torch.Tensor
) -> Callable[[], None]:
    """Return a training step on one batch in memory: forward pass, backward pass, optimiser."""
    device = runtime.device()
    net.trunk.freeze(train.frozen_stages)
    net.to(device).to(memory_format=torch.channels_last).train()
    optimizer = optim.optimizer_for(net, train)
    image = torch.randint(0, 255, (train.batch, 3, train.size_px, train.size_px), dtype=torch.uint8)
    image = image.to(device).contiguous(memory_format=torch.channels_last)
    target = target.to(device)

    def step() -> None:
        with runtime.autocast(device):
            loss = loss_of(net, image, target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        loss.item()

    return step


def _bare(net: torch.nn.Module, loss_of: fit.LossOf, train: Train, target: torch.Tensor) -> int:
    """Train STEPS such steps."""
    step = bare_step(net, loss_of, train, target)
    for _ in range(STEPS):
        step()
    return STEPS * train.batch


def mask_loss(net: torch.nn.Module, image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the segmenter's loss at stride 4."""
    return deeplab.pixel_loss(net(image), target, stride=4)


def training() -> list[Row]:
    """Compare an epoch of `fit`, with JPEG files, loader and checkpoint, to the bare steps."""
    train = train_params(320, 16)
    rows = []
    with project(train.batch * STEPS) as (layout, samples):
        tags = tag_vectors(samples, CLASSES)
        masks = [layout.labels("full") / f"{s.id}.png" for s in samples]

        def tag_loss(net, image, target):
            return classifier.sigmoid(net.scores(image), target)

        nets = {
            "classifier": (_classifier(), tag_loss, tags, torch.zeros(train.batch, len(CLASSES))),
            "segmenter": (
                deeplab.DeepLab(trunk(False), head="v3plus", outputs=6), mask_loss, masks,
                torch.zeros(train.batch, 320, 320, dtype=torch.uint8),
            ),
        }  # fmt: skip
        for name, (net, loss_of, targets, target) in nets.items():
            views = Views([s.image for s in samples], targets, train, 0)
            runs = iter(range(10**6))

            def ours(name=name, net=net, views=views, loss_of=loss_of, runs=runs) -> int:
                fit.fit(net, views, loss_of, resume=layout.resume / f"{name}-{next(runs)}",
                        title="bench")  # fmt: skip
                return len(views)

            def bare(net=net, loss_of=loss_of, target=target) -> int:
                return _bare(net, loss_of, train, target)

            row = compare(f"training step, {name}", ours, bare, repeats=3, unit="images/s",
                          peer="the bare steps on a batch in memory", reach="0.95")  # fmt: skip
            rows.append(row)
    return rows


def interleaved() -> list[Row]:
    """Compare a step through the dilated stages of EfficientNet-Lite0, interleaved and dilated."""
    image = torch.randn(16, 112, 20, 20).contiguous(memory_format=torch.channels_last)
    ours, plain = trunk(True).stages[-1], trunk(True).stages[-1]
    rewrite.interleave(ours)
    for layer in plain.modules():
        if isinstance(layer, Interleaved):
            layer.__class__ = torch.nn.Conv2d

    def step(net: torch.nn.Module) -> int:
        net.to(runtime.device()).to(memory_format=torch.channels_last).train()
        with runtime.autocast(runtime.device()):
            out = net(image.to(runtime.device()))
        out.float().mean().backward()
        return len(image)

    return [compare("step of the dilated stages", lambda: step(ours), lambda: step(plain),
                    peer="dilated convolutions", unit="images/s", reach="")]  # fmt: skip


def _write(
    layout: Layout, net: classifier.Classifier, samples: list[Sample], options: Infer
) -> int:
    """Write class maps as the stage `seed` does."""
    for sample, outputs in infer.run(net, samples, options, title="bench"):
        merged = infer.merge([o[None].relu() for o in outputs])[0]
        formats.write_maps(
            layout.maps / f"{sample.id}.npz", merged.numpy(), np.arange(1, 6, dtype=np.uint8)
        )
    return len(samples)


@torch.inference_mode()
def _passes(net: torch.nn.Module, views: list[torch.Tensor], times: int) -> int:
    """Only the forward passes, on views in memory."""
    for _ in range(times):
        for view in views:
            with runtime.autocast(view.device):
                net(view)
    return times * len(views[0]) // 2


@torch.inference_mode()
def _one_by_one(name: str, layout: Layout, samples: list[Sample], scales: tuple[float, ...]) -> int:
    """Take one image and scale at a time, with its mirror image, in float32, as irn does."""
    net = _classifier(name).eval().to(runtime.device())
    for sample in samples:
        image = (
            torch.from_numpy(formats.read_image(sample.image).copy()).permute(2, 0, 1)[None].float()
        )
        maps = []
        for scale in scales:
            size = [
                16 * round(side * scale * 320 / max(image.shape[2:]) / 16)
                for side in image.shape[2:]
            ]
            view = F.interpolate(image, size, mode="bilinear", align_corners=False)
            view = view.to(runtime.device())
            straight, mirrored = net(torch.cat([view, view.flip(3)])).split(1)
            maps += [straight, mirrored.flip(3)]
        merged = infer.merge(maps)[0].relu().cpu()
        formats.write_maps(
            layout.maps / f"{sample.id}.npz", merged.numpy(), np.arange(1, 6, dtype=np.uint8)
        )
    return len(samples)


def class_maps() -> list[Row]:
    """Compare class maps at four scales with flip, from files to files."""
    options = Infer(size_px=320, scales=(0.5, 1.0, 1.5, 2.0), flip=True)
    with project(max(IMAGES.values())) as (layout, samples):
        _, batches = whole.whole_batches(samples[: whole.INFER_BATCH], options, stride=16)
        views = [torch.cat([v, v.flip(3)]).to(runtime.device(), memory_format=torch.channels_last)
                 for v in next(iter(batches))[1]]  # fmt: skip
        rows = []
        # The plain way gets its own process, where memory is not kept between layers.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as plain:
            for name, count in IMAGES.items():
                rows += _class_maps_of(name, layout, samples[:count], options, views, plain)
        return rows


def _class_maps_of(
    name: str, layout: Layout, samples: list[Sample], options: Infer, views: list[torch.Tensor],
    plain: Executor,
) -> list[Row]:  # fmt: skip
    net = _classifier(name).eval().to(runtime.device(), memory_format=torch.channels_last)
    folded = rewrite.fold(net).to(memory_format=torch.channels_last)
    times = len(samples) // (len(views[0]) // 2)

    def ours() -> int:
        return _write(layout, net, samples, options)

    def bare() -> int:
        return _passes(folded, views, times)

    def unfolded() -> int:
        return _passes(net, views, times)

    def one_by_one() -> int:
        return plain.submit(_one_by_one, name, layout, samples, options.scales).result()

    maps, passes = f"class maps, 4 scales, flip, {name}", f"test-time passes, {name}"
    return [
        compare(maps, ours, bare, peer="the bare forward passes", unit="images/s", reach="0.90",
                repeats=3),
        compare(maps, ours, one_by_one, peer="one image at a time in float32", unit="images/s",
                reach="3", repeats=3),
        compare(f"{passes}, batch normalisation folded", bare, unfolded, peer="not folded",
                unit="images/s", reach="", repeats=3),
    ]  # fmt: skip
