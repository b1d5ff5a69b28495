"""`thresholds`: the choice of the fusion's thresholds without masks."""

import numpy as np
import pytest

from app import thresholds
from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.params import validate
from pipeline.core.samples import Sample, write_samples
from pipeline.params import Params


@pytest.fixture
def checked(params):
    return validate(Params, params, where="")


@pytest.fixture
def layout(tmp_path, rng, monkeypatch):
    """Two train images whose saliency is 0.55 on a red square, and 0.35 on a frame around it."""
    monkeypatch.setenv("GUIDELABEL_WORKERS", "1")
    layout, samples = Layout(tmp_path), []
    for i in range(2):
        top, left = 20 + 4 * i, 26
        saliency = np.zeros((80, 80), np.float32)
        saliency[top - 10 : top + 40, left - 10 : left + 40] = 0.35
        saliency[top : top + 30, left : left + 30] = 0.55
        colour = np.where((saliency == saliency.max())[..., None], (200, 60, 50), (40, 80, 170))
        noisy = np.clip(colour + rng.normal(0, 8, colour.shape), 0, 255).astype(np.uint8)
        maps = np.zeros((1, 20, 20), np.float32)
        maps[0, 8:10, 8:10] = 1
        path = tmp_path / f"images/p{i}.png"
        formats.write_image(path, noisy)
        formats.write_maps(layout.maps / f"p{i}.npz", maps, np.array([1], np.uint8))
        formats.write_grey(layout.saliency("net") / f"p{i}.png", saliency)
        samples.append(Sample(f"p{i}", path, "train", ("a",), 80, 80, ""))
    samples.append(Sample("v", tmp_path / "missing.png", "val", ("a",), 80, 80, ""))
    write_samples(layout.samples, samples)
    return layout


def test_the_saliency_threshold_cuts_where_the_colours_change(layout, checked):
    choice = thresholds.choose(layout, checked)
    assert choice.images == 2
    assert choice.best[1] in {0.4, 0.5}
    assert choice.energies[0.1, 0.5] < choice.energies[0.1, 0.3] - 0.01
    assert choice.energies[0.1, 0.5] < choice.energies[0.1, 0.6] - 0.01


def test_what_is_missing_is_named(layout, checked, params):
    params["fuse"]["seed_rule"] = "graph_cut"
    with pytest.raises(UserError, match="seed_rule: threshold"):
        thresholds.choose(layout, validate(Params, params, where=""))
    empty = Layout(layout.root / "nothing")
    write_samples(empty.samples, [])
    with pytest.raises(UserError, match="run fuse"):
        thresholds.choose(empty, checked)
