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


@pytest.mark.parametrize("change, message", [
    ("", "-S : no such param; `python cli.py config` prints all params"),
    ("=3", "-S =3: no such param; `python cli.py config`"),
    ("seed.trainn.epochs=3", "no such param; did you mean seed.train.epochs?"),
    ("seed..epochs=3", "no such param; did you mean seed.train.epochs?"),
    ("seed.train.scale[0]=1", "no such param; did you mean seed.train.scale?"),
    ("crf.mine={iterations: 1}", "-S crf.mine={iterations: 1}: no such param; did you mean crf.n"),
    ("seed.train.epochs", "has no valid value; add =VALUE"),
    ("seed.train.epochs=3,4", "has no valid value; check brackets and quotes"),
    ("seed.train.epochs=range(1,3)", "has no valid value; check brackets and quotes"),
    ("seed.backbone=${x}", "has no valid value; check brackets and quotes"),
    ("seed.backbone=???", "has no valid value; check brackets and quotes"),
    ("data.classes=[dog", "has no valid value; check brackets and quotes"),
    ("data.classes=dog", "params.yaml: data.classes: write a list: [dog]"),
    ("seed.train.epochs=\x1b", r"-S seed.train.epochs=\x1b: has no valid value"),
    ("seed.train.epochs=inf", "params.yaml: seed.train.epochs: Input should be a finite number"),
    ("seed=5", "params.yaml: seed: Input should be a valid dictionary"),
    ("+seed.new=1", "params.yaml: seed.new: no such param"),
    ("~seed.train.epochs", "params.yaml: seed.train.epochs is missing"),
])  # fmt: skip
def test_a_wrong_change_is_one_line_and_changes_nothing(tmp_path, change, message):
    layout = Layout(tmp_path)
    shutil.copy(ROOT / "presets/shapes.yaml", layout.params)
    before = layout.params.read_bytes()
    with pytest.raises(UserError) as e:
        chain.changed_params(layout, [change])
    assert message in str(e.value)
    assert layout.params.read_bytes() == before


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
