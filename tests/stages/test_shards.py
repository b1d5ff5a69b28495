"""With `shard`, the stages write and read archives, and the scores stay the same."""

from pipeline.core import formats
from pipeline.core.layout import Layout

AFTER_GENERATE = (
    "prepare", "seed", "evaluate_seed", "saliency_net", "evaluate_saliency", "fuse", "diffuse",
    "evaluate_guide", "train_segment guide", "predict guide", "refine guide", "evaluate_segment",
    "report",
)  # fmt: skip


def test_a_chain_of_archives_gives_the_same_scores(project):
    before, model = project.scores(), formats.digest(Layout().segmenter("guide"))
    project.change({"shard": 10})
    project.stages(*AFTER_GENERATE)
    layout = Layout()
    for folder in (
        layout.maps, layout.saliency("net"), layout.seeds, layout.fused, layout.labels("full"),
        layout.labels("guide"), layout.logits("guide"), layout.refined("guide"),
    ):  # fmt: skip
        assert {p.suffix for p in folder.iterdir()} == {".tar", ".idx"}
    assert formats.digest(layout.segmenter("guide")) == model
    assert project.scores() == before
