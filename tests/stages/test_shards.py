"""With `shard` the stages write and read archives; nothing else changes."""

import shutil

from pipeline import formats
from pipeline.layout import Layout
from tests.conftest import Project, run_stages, scores_of

AGAIN = (
    "prepare", "seed", "evaluate_seed", "saliency net", "evaluate_saliency", "fuse", "diffuse",
    "evaluate_guide", "train_segment guide", "predict guide", "refine guide", "evaluate_segment",
    "report",
)  # fmt: skip


def test_a_chain_of_archives_gives_the_same_scores(project, tmp_path, monkeypatch):
    before, model = scores_of(project), formats.digest(Layout().segmenter("guide"))
    shutil.copytree(project.root, tmp_path / "copy", symlinks=True)
    monkeypatch.chdir(tmp_path / "copy")
    copy = Project.__new__(Project)
    copy.root = tmp_path / "copy"
    copy.change({"shard": 10})
    run_stages(*AGAIN)
    layout = Layout()
    packed = [
        layout.maps,
        layout.saliency("net"),
        layout.seeds,
        layout.fused,
        layout.labels("full"),
    ]
    packed += [layout.labels("guide"), layout.logits("guide"), layout.refined("guide")]
    for folder in packed:
        assert {p.suffix for p in folder.iterdir()} == {".zip"}
    assert formats.digest(layout.segmenter("guide")) == model
    assert scores_of(copy) == before
