"""How each stage stands, out of what dvc says of those that changed by themselves."""

import pytest

from pipeline import chain, config
from pipeline import params as reading
from tests.conftest import ROOT

FUSE = {"fuse": [{"changed deps": {"params.yaml": {"fuse": "modified"}}}]}


@pytest.fixture
def states(params, monkeypatch):
    """The states with some params changed, as stage -> state."""
    monkeypatch.chdir(ROOT)

    def of(changed, **changes):
        reading.lay_over(params, changes)
        chosen = reading.validate(config.Params, params, where="")
        return dict(chain.states(changed, chosen))

    return of


def test_nothing_changed(states):
    assert set(states({}).values()) == {"up to date"}


def test_what_reads_a_changed_stages_files_follows_it(states):
    found = states(FUSE)
    assert {s: w for s, w in found.items() if w != "up to date"} == {
        "fuse": "must run: params.yaml: changed",
        "diffuse": "runs after fuse",
        "train_segment@guide": "runs after diffuse",
        "predict@guide": "runs after train_segment@guide",
        "refine@guide": "runs after predict@guide",
        "evaluate_guide": "runs after diffuse",
        "evaluate_segment": "runs after refine@guide",
        "report": "runs after evaluate_segment",
    }


def test_the_first_stage_is_followed_by_all(states):
    found = states({"sources/dvc.yaml:generate": FUSE["fuse"]})
    assert found["prepare"] == "runs after generate"
    assert found["sources/dvc.yaml:train_saliency"].startswith("runs after ")
    assert "up to date" not in found.values()


@pytest.mark.parametrize("one, other, together", [
    ("data/models/seed", "data/models/seed/net.json", True),
    ("data/models/segment/guide", "data/models/segment", True),
    ("data/scores/seed", "data/scores/seed.json", False),
])  # fmt: skip
def test_a_file_belongs_to_its_folder(one, other, together):
    assert chain._overlap(one, other) is together


def test_rounds_and_other_supervisions_follow_theirs(states):
    found = states(
        {"train_segment@guide": FUSE["fuse"]},
        segment={"supervision": ["guide", "full", "round2"]},
        saliency={"source": "classical"},
    )
    assert found["sources/dvc.yaml:relabel@round2"] == "runs after train_segment@guide"
    assert found["train_segment@round2"] == "runs after relabel@round2"
    assert found["train_segment@full"] == found["refine@full"] == "up to date"
