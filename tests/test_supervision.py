"""No training sees the truth: without any mask on the disk, the chain makes the same bytes."""

import shutil

import pytest

from pipeline.core import formats
from pipeline.core.layout import Layout

TRAINING = (
    "train_seed", "seed", "train_saliency", "saliency_net", "fuse", "diffuse",
    "train_segment guide", "predict guide", "refine guide",
)  # fmt: skip


def made(layout):
    """Return every folder and file that the stages of TRAINING make."""
    return [
        layout.seed_model, layout.maps, layout.tag_scores, layout.saliency_model,
        layout.saliency_labels, layout.saliency("net"), layout.seeds, layout.fused,
        layout.labels("guide"), layout.segmenter("guide"), layout.logits("guide"),
        layout.predictions("guide"), layout.refined("guide"),
    ]  # fmt: skip


def remove(*paths):
    for path in paths:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.slow
def test_without_the_truth_the_trainings_give_the_same_bytes(finished, project):
    here, before = Layout(project.root), Layout(finished.root)
    remove(*made(here))
    remove(here.truth, here.labels("full"), here.difficult, here.shapes / "masks")
    done = project.here("-m", "stages", "evaluate_guide", check=False)
    assert "truth.csv: not found" in done.stderr  # scoring reads it, so it was the right file
    project.stages(*TRAINING)
    for ours, theirs in zip(made(here), made(before), strict=True):
        assert formats.digest(ours) == formats.digest(theirs), ours
