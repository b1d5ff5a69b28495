"""Estimate how long a run takes on this machine, from a probe of some seconds.

The probe times a few training steps of both networks, the saliency model and the dense CRF. Test
time follows from the training steps by the number of pixels. The rest is a fixed time for each
stage and for each image.

On a CPU, the probe counts the seconds that one core computes, and divides them by the cores. So the
estimate is that of a machine on which nothing else runs, whatever runs there during the probe.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from app.photographs import Photograph
from pipeline.core import formats, runtime
from pipeline.core.config import Infer, Train
from pipeline.crf import dense
from pipeline.params import Params
from pipeline.saliency.config import SaliencyOnnx
from pipeline.saliency.onnx import onnx_model
from pipeline.seeds import classifier
from pipeline.segment import deeplab
from pipeline.training.optim import optimizer_for

STAGES, STAGE_S = 14, 5.0  # stages of the chain, and the time in which each starts and ends
IMAGE_S = 0.15  # of an image in the stages that are not probed, on one core
STEPS_S = 2.0  # of training steps, after the first one
SLOW_S = 3.0  # a first step that takes longer is the only one
CPU_BATCH = 2  # on a CPU, the time of a step is proportional to the batch
FORWARD = 1 / 3  # share of the forward pass in a training step
CRF_PX = 100_000  # pixels of the probe of the CRF, whose time is proportional to them


@dataclass(frozen=True)
class Estimate:
    """Seconds of each part of a run, and of the probe. `missing` names a part that is not there."""

    parts_s: dict[str, float]
    probe_s: float
    missing: str

    @property
    def total_s(self) -> float:
        """The seconds of the whole run."""
        return sum(self.parts_s.values())


def estimate(params: Params, photographs: Sequence[Photograph], *, root: Path) -> Estimate:
    """Time a probe, and return what a run on all photographs takes.

    Args:
        params: the params of the project.
        photographs: its photographs.
        root: the project, to which the path of the saliency model is relative.
    """
    start, seed, segment = time.monotonic(), params.seed, params.segment
    classes = sorted({tag for photograph in photographs for tag in photograph.tags})
    several = sum(len(photograph.tags) > 1 for photograph in photographs)
    train, count = sum(p.split != "val" for p in photographs), len(photographs)
    middle = sorted(photographs, key=lambda p: p.height_px * p.width_px)[count // 2]
    cores = runtime.workers()
    seed_s = _step_seconds(
        classifier.Classifier.from_spec(classifier.classifier_spec(seed, classes)), seed.train
    )
    spec = deeplab.deeplab_spec(segment, head=segment.head, classes=classes)
    segment_s = _step_seconds(deeplab.DeepLab.from_spec(spec), segment.train)
    saliency_s = _saliency_seconds(params, middle, root) / cores
    crf_s = _crf_seconds(params, photographs, middle) / cores
    parts_s = {
        "training of the classifier": seed_s * train * seed.train.epochs,
        "class maps": seed_s * count * _forward_passes(seed.maps, seed.train, middle),
        "saliency": saliency_s * count,
        "training of the segmenter": segment_s * train * segment.train.epochs,
        "predictions": segment_s * count * _forward_passes(segment.predict, segment.train, middle),
        "dense CRF": crf_s * (count + several / params.diffuse.shrink**2),
        "all else": STAGES * STAGE_S + count * IMAGE_S / cores,
    }
    return Estimate(parts_s, time.monotonic() - start, "" if saliency_s else "saliency")


def _step_seconds(net: nn.Module, train: Train) -> float:
    """Return the seconds of a training step for one image, on all cores or on the GPU."""
    device, threads = runtime.device(), torch.get_num_threads()
    on_gpu = device.type != "cpu"
    net.trunk.freeze(train.frozen_stages)  # type: ignore[operator,union-attr]
    net.to(device).to(memory_format=torch.channels_last).train()
    batch = train.batch if on_gpu else min(train.batch, CPU_BATCH)
    optimizer, size = optimizer_for(net, train), (batch, 3, train.size_px, train.size_px)
    image = torch.randint(0, 256, size, dtype=torch.uint8, device=device)
    image = image.contiguous(memory_format=torch.channels_last)

    def step() -> None:
        with runtime.autocast(device):
            loss = net(image).float().square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        loss.item()  # waits for a GPU

    torch.set_num_threads(1)  # several threads would wait for each other, and count as computing
    try:
        first = _seconds(step, wall=on_gpu)
        last = first if first > SLOW_S else _seconds(step, limit_s=STEPS_S, wall=on_gpu)
    finally:
        torch.set_num_threads(threads)
    return last / batch / (1 if on_gpu else runtime.workers())


def _seconds(work: Callable[[], object], *, limit_s: float = 0.0, wall: bool = False) -> float:
    """Return the mean seconds that a call computes, or takes if `wall`.

    Call at least once, and until `limit_s` is over.
    """
    clock = time.monotonic if wall else time.process_time
    start, first, calls = time.monotonic(), clock(), 0
    while calls == 0 or time.monotonic() - start < limit_s:
        work()
        calls += 1
    return (clock() - first) / calls


def _forward_passes(options: Infer, train: Train, middle: Photograph) -> float:
    """Return how many training steps for one image take as long as an image at test time."""
    sides = sorted((middle.height_px, middle.width_px))
    long_px = sides[1] if options.size_px == "native" else options.size_px
    pixels = sides[0] / sides[1] * long_px**2 * sum(scale**2 for scale in options.scales)
    return FORWARD * (1 + options.flip) * pixels / train.size_px**2


def _saliency_seconds(params: Params, middle: Photograph, root: Path) -> float:
    """Return how many seconds one core needs for an image; 0 without a model."""
    option = params.saliency.option()
    if not isinstance(option, SaliencyOnnx) or not (root / option.file).is_file():
        return 0.0
    saliency_of = onnx_model(option.model_copy(update={"file": root / option.file}))
    image = formats.read_image(middle.path)
    saliency_of(image)
    return _seconds(lambda: saliency_of(image), limit_s=0.5)


def _crf_seconds(params: Params, photographs: Sequence[Photograph], middle: Photograph) -> float:
    """Return how many seconds one core needs for an image of the mean size."""
    crf, image = dense.chosen(params.crf, params.refine.crf), formats.read_image(middle.path)
    factor = min(1.0, (CRF_PX / (image.shape[0] * image.shape[1])) ** 0.5)
    image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    height, width = image.shape[:2]
    logits = np.zeros((3, 2, 2), np.float32)  # the CRF skips classes that an image does not show
    mean_px = sum(p.height_px * p.width_px for p in photographs) / len(photographs)
    return _seconds(lambda: dense.label_of(image, logits, crf)) * mean_px / (height * width)
