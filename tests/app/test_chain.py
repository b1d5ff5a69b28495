"""DVC's arguments for `run`."""

import shutil

import pytest

from app import chain
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from tests.conftest import ROOT


def test_the_target_saliency_is_the_source_that_set_param_chooses(copy, monkeypatch):
    monkeypatch.chdir(copy.root)
    changes = ["saliency.source=classical", "fuse.rule=seed_majority"]
    assert chain.prepare(Layout(), target="saliency", changes=changes) == [
        "exp", "run", "-S", changes[0], "-S", changes[1], "optional/dvc.yaml:saliency_classical",
    ]  # fmt: skip


def test_changes_that_are_valid_only_together_are_set_in_any_order(tmp_path):
    layout = Layout(tmp_path)
    shutil.copy(ROOT / "presets/shapes.yaml", layout.params)
    pairs = [("fuse.rule=g1", "fuse.evidence=component_scores"),
             ("seed.weights=pretext", "pretext.task=simclr")]  # fmt: skip
    for pair in pairs:
        for changes in (pair, pair[::-1]):
            chosen = chain.changed_params(layout, changes)
            assert chosen.fuse.rule == "g1" or chosen.pretext.task == "simclr"
        with pytest.raises(UserError, match=r"^params\.yaml: "):
            chain.changed_params(layout, pair[:1])
