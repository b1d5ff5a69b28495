"""Folders of networks."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.core import formats
from pipeline.nets import checkpoint, weights
from pipeline.segment.deeplab import DeepLab
from tests.further_inputs.doors import refuses


class Tiny(torch.nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)


SPEC = {"kind": "deeplab", "backbone": "x", "output_stride": 16, "head": "v1", "classes": ["cat"]}


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(value):
    state = Tiny(SPEC).state_dict()
    state["layer.bias"][1] = value
    weights.write_weights(Path("net") / checkpoint.WEIGHTS, state)
    formats.write_json(Path("net/net.json"), SPEC)
    refuses(
        lambda: checkpoint.load(Path("net"), Tiny), "safetensors: holds numbers that are not fin"
    )


@pytest.mark.parametrize("classes", [["cat", "cat"], ["background", "cat"], ["", "cat"]])
def test_networks_whose_classes_nobody_could_tell_apart(classes):
    refuses(
        lambda: DeepLab.from_spec(SPEC | {"classes": classes}),
        r"net\.json: classes: must be different names, without background",
    )
