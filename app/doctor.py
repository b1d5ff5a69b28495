"""Checks of what a run needs. Each error says how to fix it."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app import brought, inputs, locks
from pipeline.core import runtime
from pipeline.core.config import OWN_BACKBONES, Net
from pipeline.core.errors import COMMAND, UserError
from pipeline.core.layout import Layout
from pipeline.dataset import sources
from pipeline.params import Params, load_params
from pipeline.saliency.config import SaliencyNet
from pipeline.saliency.training_set import read_training_set

NAMED_WEIGHTS = ("imagenet", "none", "pretext")  # others are paths
FEW_STEPS = 150  # a training with fewer steps learns little


@dataclass(frozen=True)
class Check:
    """The result of a check, and what `doctor` prints about it."""

    name: str
    ok: bool
    message: str


def _python(_: Layout) -> str:
    version = sys.version.split()[0]
    if sys.version_info < (3, 11):  # noqa: UP036
        raise UserError(
            f"Python {version} is older than 3.11; install a newer one, remove .venv and run "
            "`make install`"
        )
    return version


def _torch(_: Layout) -> str:
    import torch
    import torchvision

    return f"torch {torch.__version__}, torchvision {torchvision.__version__}"


def _device(_: Layout) -> str:
    machine = runtime.describe()
    return f"{machine['device']}, {machine['precision']}, {runtime.workers()} workers"


def _crf(_: Layout) -> str:
    from pipeline.crf.config import Crf
    from pipeline.crf.dense import dense_crf

    crf = Crf(
        iterations=1, smooth_w=3, smooth_sxy=3, bilateral_w=4, bilateral_sxy=9, bilateral_srgb=5
    )
    marginals = dense_crf(np.zeros((8, 8, 3), np.uint8), np.zeros((2, 8, 8), np.float32), crf)
    if not np.isclose(marginals.sum(0), 1).all():
        raise UserError(
            "the marginals of the dense CRF do not sum to 1; run "
            "`pip install --force-reinstall pydensecrf2==1.1`"
        )
    return "the dense CRF works"


def _params(layout: Layout) -> str:
    load_params(layout.params)
    return "params.yaml is valid"


def _data(layout: Layout) -> str:
    params = load_params(layout.params)
    data = params.data
    if inputs.are_generated(layout, data):
        return f"shapes: {inputs.GENERATED}"
    for path in (data.root, data.tags):
        if not path.exists():
            hint = f", or run `{COMMAND} fetch voc2012`" if data.source == "voc" else ""
            raise UserError(f"{path}: not found; correct data.root and data.tags{hint}")
    content = sources.read(data)
    inputs.require_masks(params, content.entries)
    tags = Counter(tag for entry in content.entries for tag in entry.tags)
    classes = ", ".join(f"{name} {tags[name]}" for name in content.classes)
    masks = sum(entry.mask is not None for entry in content.entries)
    left_out = "".join(f"; {reason}: {n}" for reason, n in content.left_out.items() if n)
    counts = f"{len(content.entries)} images, {masks} masks; {classes}{left_out}"
    return f"{data.source}: {data.root}, {counts}"


def _locks(layout: Layout) -> str:
    locks.require_valid(layout)
    return "DVC can read its lock files"


def _nets(params: Params) -> list[tuple[str, Net]]:
    """List each section with a network that the chain trains."""
    nets: list[tuple[str, Net]] = [("seed", params.seed), ("segment", params.segment)]
    option = params.saliency.option()
    if isinstance(option, SaliencyNet):
        nets.append(("saliency.options.net", option))
    return nets


def _backbones(layout: Layout) -> str:
    nets = _nets(load_params(layout.params))
    for section, net in nets:
        if net.backbone not in OWN_BACKBONES:  # timm takes seconds to load
            from pipeline.nets.backbones import timm_trunk

            try:
                timm_trunk(net.backbone, net.output_stride, "none")
            except UserError as e:
                why = str(e).removeprefix("params.yaml: ")
                raise UserError(f"params.yaml: {section}.{why}") from e
    return ", ".join(f"{section}: {net.backbone}" for section, net in nets)


def _weights(layout: Layout) -> str:
    nets = _nets(load_params(layout.params))
    for section, net in nets:
        if net.weights not in NAMED_WEIGHTS and not Path(net.weights).is_file():
            raise UserError(f"{net.weights}: not found; correct {section}.weights")
    return ", ".join(f"{section}: {net.weights}" for section, net in nets)


def _saliency(layout: Layout) -> str:
    params = load_params(layout.params)
    name, option = params.saliency.source, params.saliency.option()
    needed = {"root": getattr(option, "root", None), "file": getattr(option, "file", None)}
    if needed["root"] == layout.shapes_boxed and params.data.root == layout.shapes:
        return name  # the chain generates it
    for field, path in needed.items():
        if path is not None and not path.exists():
            hint = f", or run `{COMMAND} fetch u2netp`" if name == "onnx" else ""
            raise UserError(f"{path}: not found; correct saliency.options.{name}.{field}{hint}")
    if isinstance(option, SaliencyNet):
        read_training_set(option, target_classes=params.data.classes)
    inputs.require_maps(layout, params)
    return name


CHECKS: dict[str, Callable[[Layout], str]] = {
    "python": _python,
    "torch": _torch,
    "device": _device,
    "CRF": _crf,
    "params": _params,
    "data": _data,
    "images": inputs.check_images,
    "masks": inputs.check_masks,
    "backbone": _backbones,
    "weights": _weights,
    "saliency": _saliency,
    "maps": inputs.check_maps,
    "brought": brought.check,
    "locks": _locks,
}


def advise_epochs(layout: Layout) -> str:
    """Say which epochs to raise, if a training on photographs is too short. Else return "".

    510 photographs were learned well with 150 and 200 steps. 120 photographs were not learned
    with 21 steps. For 300 photographs, a segmenter scored as much with 162 steps as with 324, and
    4.9 mIoU more than with 108 (docs/results.md).
    """
    params = load_params(layout.params)
    if params.data.source != "folder":  # the epochs of the other presets fit their data
        return ""
    images = sum(entry.split == "train" for entry in sources.read(params.data).entries)
    short = []
    for section, train in (("seed", params.seed.train), ("segment", params.segment.train)):
        steps = images // train.batch * train.epochs
        if steps < FEW_STEPS:
            enough = -(-FEW_STEPS // max(1, images // train.batch))
            short.append(f"{section}.train.epochs to {enough} ({steps:.0f} steps now)")
    return f"too few training steps to learn much; raise {' and '.join(short)}" if short else ""


def require_inputs(layout: Layout) -> None:
    """Check params, data, backbones, weights and saliency before anything runs. Open no image.

    Raises:
        UserError: the first of these checks that fails.
    """
    for check in (_params, _data, _backbones, _weights, _saliency, brought.require):
        check(layout)


def examine(layout: Layout) -> Iterator[Check]:
    """Run every check, also after one that fails. A fault that stops several is named once.

    Yields:
        Each check as soon as it is done: some take seconds.
    """
    named: set[str] = set()
    for name, check in CHECKS.items():
        try:
            yield Check(name, True, check(layout))
        except (UserError, ImportError) as e:
            message = f"{e}" if isinstance(e, UserError) else f"{e}; run `make install`"
            if message not in named:
                named.add(message)
                yield Check(name, False, message)
