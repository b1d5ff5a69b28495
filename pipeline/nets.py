"""Trained networks on disk: weights, and a description to build the network from again."""

from pathlib import Path
from typing import Any

from torch import nn

from pipeline import backbones, formats, ranks, runtime
from pipeline.blocks import Net
from pipeline.choices import SaliencyNet
from pipeline.classifier import Classifier
from pipeline.config import SeedModel, SegmentModel
from pipeline.deeplab import HEADS, DeepLab
from pipeline.errors import UserError

Spec = dict[str, Any]


def classifier_spec(seed: SeedModel, classes: list[str]) -> Spec:
    """Describe the classifier of section `seed`."""
    return {
        "kind": "classifier",
        **_trunk(seed),
        "hidden": seed.hidden,
        "superpixels": seed.superpixels,
        "pooling": seed.pooling,
        "options": seed.option().model_dump(),
        "classes": classes,
    }


def deeplab_spec(net: SegmentModel | SaliencyNet, classes: list[str]) -> Spec:
    """Describe a DeepLab whose outputs are the background and `classes`."""
    return {"kind": "deeplab", **_trunk(net), "head": net.head, "classes": classes}


def _trunk(net: Net) -> Spec:
    return {"backbone": net.backbone, "output_stride": net.output_stride}


def build(spec: Spec, *, weights: str) -> nn.Module:
    """Build the network of `spec`; `weights` are the trunk's."""
    trunk = backbones.build(
        spec["backbone"],
        output_stride=spec["output_stride"],
        weights=weights,
        classify=spec["kind"] == "classifier",
    )
    count = len(spec["classes"])
    if spec["kind"] == "deeplab":
        if spec["head"] not in HEADS:
            known = ", ".join(HEADS)
            raise UserError(f"head '{spec['head']}' is none of {known}; train the network again")
        return DeepLab(trunk, head=spec["head"], outputs=1 + count)
    return Classifier(
        trunk,
        classes=count,
        hidden=spec["hidden"],
        pooling=spec["pooling"],
        options=spec["options"],
        superpixels=spec["superpixels"],
    )


def save(folder: Path, net: nn.Module, spec: Spec, losses: list[float]) -> None:
    """Write weights, description, and the loss curve as a table that `dvc plots` reads; once."""
    if not ranks.first():
        return
    formats.write_weights(folder / "weights.safetensors", net.state_dict())
    formats.write_json(folder / "net.json", {**spec, "trained_on": runtime.describe()})
    rows = [(i, f"{loss:.5f}") for i, loss in enumerate(losses, 1)]
    formats.write_table(folder / "loss.tsv", rows, columns=("epoch", "loss"), sep="\t")


def load(folder: Path) -> tuple[nn.Module, Spec]:
    """Read a network that `save` wrote.

    Raises:
        UserError: nothing was trained there yet.
    """
    if not (folder / "net.json").exists():
        raise UserError(f"{folder}: no trained network; run `python cli.py run` first")
    spec = formats.read_json(folder / "net.json")
    net = build(spec, weights="none")
    net.load_state_dict(formats.read_weights(folder / "weights.safetensors"))
    return net, spec
