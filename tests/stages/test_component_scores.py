"""The stage that guide rule G1 needs, on the tiny generated set."""

import numpy as np
import pytest
import torch
from skimage.measure import label as number

from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.core.samples import read_samples
from pipeline.nets import checkpoint
from pipeline.seeds.classifier import Classifier

G1 = {"fuse": {"rule": "g1", "evidence": "component_scores"}}


@pytest.fixture
def g1(project, monkeypatch):
    """The project under rule G1, with saliency that has none, one, two and three components."""
    monkeypatch.setenv("GUIDELABEL_PRECISION", "float32")
    layout = Layout()
    for i, sample in enumerate(read_samples(layout.samples)):
        saliency = np.zeros((64, 64), np.float32)
        for part in [np.s_[4:20, 4:24], np.s_[30:60, 8:30], np.s_[10:50, 40:60]][: i % 4]:
            saliency[part] = 1
        saliency[0, 63] = 1  # below the area limit
        formats.write_grey(layout.saliency("net") / f"{sample.id}.png", saliency)
    project.change(G1)
    project.stages("component_scores")
    return project


def test_files_hold_logits_of_the_component_minus_logits_of_the_image(g1):
    layout, net, spec = Layout(), *checkpoint.load(Layout().seed_model, Classifier.from_spec)
    net.eval()
    seen = set()
    for sample in read_samples(layout.samples):
        changes, classes = formats.read_component_scores(
            layout.component_scores / f"{sample.id}.npz"
        )
        assert [spec["classes"][c - 1] for c in classes] == list(sample.tags)
        image = formats.read_image(sample.image).astype(np.float32)
        salient = formats.read_grey(layout.saliency("net") / f"{sample.id}.png") >= 0.5
        salient[0, 63] = False
        ids = number(salient, connectivity=2)
        alone = [np.where((ids == i)[..., None], image, 127) for i in range(1, ids.max() + 1)]
        views = torch.from_numpy(np.stack([image, *alone]).transpose(0, 3, 1, 2))
        with torch.inference_mode():
            logits = net.scores(views).numpy()[:, classes - 1]
        np.testing.assert_allclose(changes, logits[1:] - logits[:1], atol=1e-3)
        seen.add(len(changes))
    assert seen == {0, 1, 2, 3}


def test_labels_follow_the_scores_and_seeds_are_empty(g1):
    g1.stages("fuse", "diffuse", "evaluate_guide", "report")
    layout, gained = Layout(), set()
    for sample in read_samples(layout.samples):
        name = f"{sample.id}.npz"
        changes, classes = formats.read_component_scores(layout.component_scores / name)
        label = formats.read_label(layout.labels("guide") / f"{sample.id}.png")
        expected = {
            int(classes[row.argmax()]) if len(row) and row.max() > 0 else 0 for row in changes
        }
        assert set(np.unique(label).tolist()) == expected | {0}
        gained |= expected
        assert not formats.read_label(layout.seeds / f"{sample.id}.png").any()
    assert len(gained) > 1  # else the test would not tell


def test_archives_hold_the_same(g1):
    g1.stages("fuse")
    before = formats.digest(Layout().fused)
    names = [s.id for s in read_samples(Layout().samples)]
    changes = [formats.read_component_scores(Layout().component_scores / f"{n}.npz") for n in names]
    g1.stages("component_scores", GUIDELABEL_SHARD="10")
    assert {p.suffix for p in Layout().component_scores.iterdir()} == {".tar", ".idx"}
    for name, (rows, classes) in zip(names, changes, strict=True):
        again = formats.read_component_scores(Layout().component_scores / f"{name}.npz")
        assert (again[0] == rows).all() and (again[1] == classes).all()
    g1.stages("fuse")
    assert formats.digest(Layout().fused) == before


def test_fuse_names_the_stage_whose_files_are_missing(project):
    project.change(G1)
    done = project.here("-m", "stages", "fuse", check=False)
    assert done.returncode == 1
    assert "run `python cli.py run component_scores` first" in done.stderr
