"""Brought and corrected masks through the whole chain, run by DVC as a user runs it."""

import numpy as np
import pytest

from benchmarks import brought
from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.core.samples import read_samples

OPTIONAL = "optional/dvc.yaml"


def segmenter(name):
    return [f"{stage}@{name}" for stage in ("train_segment", "predict", "refine")]


@pytest.mark.slow
def test_brought_masks_train_and_are_scored_beside_the_guide_labels(project):
    layout = Layout()
    other = brought.write(layout, layout.root / "data/raw/brought", width_px=3, share=0.1)
    project.change({"segment": {"supervision": ["guide", "brought"]}})
    ran = project.repro()
    assert sorted(ran) == sorted([
        f"{OPTIONAL}:relabel_brought", *segmenter("brought"), "score_labels@guide",
        "score_labels@brought", "evaluate_segment", "report",
    ])  # fmt: skip
    assert project.repro() == []
    scores = project.scores()
    assert "mIoU_minus_guide" in scores["refined_brought"]["val"]
    labels = scores["labels_brought"]["train"]
    assert 0 < labels["mIoU_with_guide"] < 100 > labels["mIoU"]
    said = project.here("cli.py", "scores").stdout
    assert "segmenter + CRF, brought masks" in said and "labels, brought masks" in said
    table = layout.label_scores("brought") / "disagreement.tsv"
    rows = formats.read_table(table, columns=("split", "id", "mIoU"), sep="\t")
    values = [float(row["mIoU"]) for row in rows]
    assert len(rows) == len(read_samples(layout.samples)) and values == sorted(values)
    images = formats.read_table(
        layout.label_scores("brought") / "images.csv", columns=("id", "mIoU")
    )
    right = {row["id"]: float(row["mIoU"]) for row in images}
    eroded = [value for key, value in right.items() if key not in other]
    assert np.mean([right[key] for key in other]) < np.mean(eroded)  # they have others' masks


@pytest.mark.slow
def test_a_correction_changes_the_next_run_and_only_what_follows_from_it(project):
    layout = Layout()
    train = [s for s in read_samples(layout.samples) if s.split == "train"]
    folder = layout.root / "data/corrections"
    for sample in train[:2]:
        label = formats.read_label(layout.labels("full") / f"{sample.id}.png")
        formats.write_label(folder / f"{sample.id}.png", label)
    project.change({"segment": {"supervision": ["corrected"]}})
    train_alone = [f"{OPTIONAL}:relabel_corrected", "train_segment@corrected"]
    assert project.repro("train_segment") == train_alone
    before = formats.digest(layout.segmenter("corrected"))
    for sample in train:  # an epoch leaves out images that do not fill a batch
        label = formats.read_label(layout.labels("full") / f"{sample.id}.png")
        formats.write_label(folder / f"{sample.id}.png", np.where(label, 0, 1).astype(np.uint8))
    assert project.repro("train_segment") == train_alone
    assert formats.digest(layout.segmenter("corrected")) != before
    found = formats.read_label(layout.labels("corrected") / f"{sample.id}.png")
    assert (found == np.where(label, 0, 1)).all()
    assert project.repro("train_segment") == []
