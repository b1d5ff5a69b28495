"""A saliency network that learns from masks: its labels are the masks, and it trains once."""

import shutil

import numpy as np
import pytest

from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.core.samples import read_samples, read_truth
from pipeline.nets import checkpoint
from pipeline.segment.deeplab import DeepLab

EPOCHS = 3


@pytest.fixture
def mask_set(project, tmp_path):
    """Ten generated images with grey masks, two of them excluded; restores the network later."""
    layout = Layout()
    outs = (layout.saliency_model, layout.saliency_labels)
    for i, folder in enumerate(outs):
        shutil.copytree(folder, tmp_path / f"kept{i}")
    root, truth = tmp_path / "set", read_truth(layout.truth)
    samples = read_samples(layout.samples)[:10]
    for s in samples:
        (root / "images").mkdir(parents=True, exist_ok=True)
        shutil.copy(s.image, root / "images" / f"{s.id}{s.image.suffix}")
        label = formats.read_label(truth[s.id])
        inside = (label > 0) & (label < 255)
        grey = np.where(inside, 130, np.where(label == 255, 120, 0))  # the threshold is 128
        formats.write_grey(root / "masks" / f"{s.id}.png", grey / 255)
    (root / "exclude.txt").write_text(f"{samples[0].id}\n{samples[7].id}\n")
    yield root, samples
    for i, folder in enumerate(outs):
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / f"kept{i}", folder)


def test_a_network_learns_from_the_masks_that_are_not_excluded(project, mask_set):
    root, samples = mask_set
    layout = Layout()
    net = {"train_set": "masks", "root": str(root), "train": {"epochs": EPOCHS, "batch": 4}}
    net["denoise"] = {"rounds": 2}  # has no effect on masks
    project.change({"saliency": {"options": {"net": net}}})
    shutil.rmtree(layout.saliency_labels)
    project.stages("train_saliency")

    kept = {s.id for s in samples} - {samples[0].id, samples[7].id}
    assert {p.stem for p in layout.saliency_labels.iterdir()} == kept
    truth = read_truth(layout.truth)
    for key in kept:
        label = formats.read_label(truth[key])
        expected = ((label > 0) & (label < 255)).astype(np.uint8)
        assert (formats.read_label(layout.saliency_labels / f"{key}.png") == expected).all()

    curve = formats.read_table(
        layout.saliency_model / "loss.tsv", columns=("epoch", "loss"), sep="\t"
    )
    assert [row["epoch"] for row in curve] == [str(i + 1) for i in range(EPOCHS)]
    losses = [float(row["loss"]) for row in curve]
    assert all(0 < loss < 5 for loss in losses) and losses[-1] < losses[0]
    _, spec = checkpoint.load(layout.saliency_model, DeepLab.from_spec)
    assert spec["classes"] == ["salient"]
    assert not list(layout.resume.glob("train_saliency-*"))
