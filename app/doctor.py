"""What a run needs from the machine, each with its fix."""

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.core import runtime
from pipeline.core.config import Net
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.dataset import sources
from pipeline.params import load_params
from pipeline.saliency.config import SaliencyNet

FEW_STEPS = 150  # of a training


@dataclass(frozen=True)
class Check:
    """One finding."""

    name: str
    ok: bool
    said: str


def _python(_: Layout) -> str:
    version = sys.version.split()[0]
    if sys.version_info < (3, 11):  # noqa: UP036
        raise UserError(f"{version}; needs 3.11 or newer: install it and remove .venv")
    return version


def _torch(_: Layout) -> str:
    import torch
    import torchvision

    return f"torch {torch.__version__}, torchvision {torchvision.__version__}"


def _device(_: Layout) -> str:
    about = runtime.describe()
    return f"{about['device']}, {about['precision']}, {runtime.workers()} workers"


def _crf(_: Layout) -> str:
    from pipeline.crf.config import Crf
    from pipeline.crf.dense import dense_crf

    rule = Crf(
        iterations=1, smooth_w=3, smooth_sxy=3, bilateral_w=4, bilateral_sxy=9, bilateral_srgb=5
    )
    found = dense_crf(np.zeros((8, 8, 3), np.uint8), np.zeros((2, 8, 8), np.float32), rule)
    if not np.isclose(found.sum(0), 1).all():
        raise UserError(
            "the dense CRF gives wrong marginals; pip install --force-reinstall pydensecrf2"
        )
    return "dense CRF works"


def _params(layout: Layout) -> str:
    load_params(layout.params)
    return "params.yaml is valid"


def _data(layout: Layout) -> str:
    data = load_params(layout.params).data
    made = data.root == layout.shapes  # by the chain itself, which also mends it
    if made and (data.tags.is_relative_to(data.root) or not data.root.exists()):
        return "shapes: the chain makes them"
    for path in (data.root, data.tags):
        if not path.exists():
            hint = ", or `python cli.py fetch voc2012`" if data.source == "voc" else ""
            raise UserError(f"{path} not found; correct data.root and data.tags{hint}")
    found = sources.read(data)
    tags = Counter(tag for entry in found.entries for tag in entry.tags)
    classes = ", ".join(f"{name} {tags[name]}" for name in found.classes)
    return f"{data.source}: {data.root}, {len(found.entries)} images; {classes}"


def _weights(layout: Layout) -> str:
    chosen = load_params(layout.params)
    nets: list[tuple[str, Net]] = [("seed", chosen.seed), ("segment", chosen.segment)]
    option = chosen.saliency.option()
    if isinstance(option, SaliencyNet):
        nets.append(("saliency.options.net", option))
    for section, net in nets:
        if net.weights not in ("imagenet", "none") and not Path(net.weights).is_file():
            raise UserError(f"{net.weights} not found; correct {section}.weights")
    return ", ".join(f"{section}: {net.backbone} {net.weights}" for section, net in nets)


def _saliency(layout: Layout) -> str:
    chosen = load_params(layout.params)
    name, option = chosen.saliency.source, chosen.saliency.option()
    needed = {"root": getattr(option, "root", None), "file": getattr(option, "file", None)}
    for field, path in needed.items():
        generated = path == layout.shapes_boxed and chosen.data.root == layout.shapes
        if path is not None and not path.exists() and not generated:
            hint = ", or `python cli.py fetch u2netp`" if name == "onnx" else ""
            raise UserError(f"{path} not found; correct saliency.options.{name}.{field}{hint}")
    return name


CHECKS: dict[str, Callable[[Layout], str]] = {
    "python": _python,
    "torch": _torch,
    "device": _device,
    "CRF": _crf,
    "params": _params,
    "data": _data,
    "weights": _weights,
    "saliency": _saliency,
}


def few_steps(layout: Layout) -> str:
    """What to raise if a training on photographs is too short to learn much; else nothing.

    With 150 and 200 steps 510 photographs were learned well, with 21 steps 120 were not.
    """
    chosen = load_params(layout.params)
    if chosen.data.source != "folder":  # the other presets are made for their data
        return ""
    images = sum(entry.split == "train" for entry in sources.read(chosen.data).entries)
    short = []
    for section, train in (("seed", chosen.seed.train), ("segment", chosen.segment.train)):
        steps = images // train.batch * train.epochs
        if steps < FEW_STEPS:
            enough = -(-FEW_STEPS // max(1, images // train.batch))
            short.append(f"{section}.train.epochs to {enough} ({steps:.0f} steps now)")
    return f"few images for so few epochs; raise {' and '.join(short)}" if short else ""


def require_inputs(layout: Layout) -> None:
    """Raise the first UserError about params, data, weights or saliency, before anything runs."""
    for check in (_params, _data, _weights, _saliency):
        check(layout)


def examine(layout: Layout) -> list[Check]:
    """Run every check; none stops the others."""
    found = []
    for name, check in CHECKS.items():
        try:
            found.append(Check(name, True, check(layout)))
        except (UserError, ImportError) as e:
            fix = "" if isinstance(e, UserError) else "; run `make install`"
            found.append(Check(name, False, f"{e}{fix}"))
    return found
