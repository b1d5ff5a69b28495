"""The classifier's probabilities, from maps made by hand."""

import numpy as np
import torch

from pipeline.nets.backbones import build
from pipeline.seeds.classifier import Classifier
from pipeline.seeds.tag_scores import tag_probability

IMAGE = np.zeros((8, 8, 3), np.uint8)


def test_scales_below_1_do_not_count_unless_there_is_no_other():
    """With GAP, the score of a constant map is its value."""
    trunk = build("efficientnet_lite0", output_stride=16, weights="none", classify=True)
    net = Classifier(trunk, classes=2, hidden="none", pooling="gap", options={})
    values = {0.5: (9.0, 9.0), 1.0: (1.0, -2.0), 2.0: (3.0, 0.0)}
    maps = [torch.tensor(v)[:, None, None].expand(2, 3, 4) for v in values.values()]

    def expected(a, b):
        return torch.tensor([a, b]).sigmoid()

    found = tag_probability(net, maps, tuple(values), IMAGE)
    torch.testing.assert_close(found, expected(2.0, -1.0))
    found = tag_probability(net, maps[:1], (0.5,), IMAGE)
    torch.testing.assert_close(found, expected(9.0, 9.0))
