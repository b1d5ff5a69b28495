"""DVC's arguments for `run`."""

from app import chain
from pipeline.core.layout import Layout


def test_the_target_saliency_is_the_source_that_set_param_chooses(copy, monkeypatch):
    monkeypatch.chdir(copy.root)
    changes = ["saliency.source=classical", "fuse.rule=seed_majority"]
    assert chain.prepare(Layout(), target="saliency", changes=changes) == [
        "exp", "run", "-S", changes[0], "-S", changes[1], "optional/dvc.yaml:saliency_classical",
    ]  # fmt: skip
