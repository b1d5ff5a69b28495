"""Each scoring stage writes what made its scores, in a file that DVC does not track."""

import json

import pytest

from pipeline.core import formats, provenance
from pipeline.core.layout import Layout
from pipeline.core.params import read_yaml
from tests.contracts.dvc_files import PARAMS, STAGES, entries
from tests.contracts.imports import ROOT
from tests.stages.test_evaluate import write_links


@pytest.fixture
def project(copy, folder_params):
    copy.change({"data": folder_params["data"]})
    copy.stages("prepare")
    write_links(Layout(copy.root))
    return copy


def record(project, group="guide"):
    """Score one group, and read what made its scores."""
    project.stages(f"evaluate_{group}")
    layout = Layout(project.root)
    return formats.read_json(provenance.record_file(layout.made_of, layout.scores(group)))


def changed(before, after):
    return {key for key in after if before[key] != after[key]}


def test_the_record_names_all_that_made_the_scores(project):
    layout = Layout(project.root)
    formats.write_json(layout.log / "predict_guide.json", {"run_on": {"device": "cpu"}})
    made_of = record(project, "segment")
    assert made_of["random_seed"] == 0 and len(made_of["data"]) == 16
    params = made_of["params"]
    assert params["fuse"]["seed_threshold"] == 0.2 and params["seed.options.gap"] == {}
    assert params["segment.train"]["epochs"] == 8 and "report" not in params
    assert {"pipeline/guide", "pipeline/segment", "stages/predict.py"} <= set(made_of["code"])
    assert "pipeline/report" not in made_of["code"]
    assert {"python", "torch", "numpy", "opencv-python-headless", "timm"} <= set(
        made_of["versions"]
    )
    assert made_of["run_on"]["predict@guide"] == {"device": "cpu"}
    assert made_of["commit"] == project.run("git", "rev-parse", "HEAD").stdout.strip()
    assert made_of["uncommitted"] == ["params.yaml"]


def test_a_record_holds_only_what_is_upstream(project):
    first = record(project)
    assert not any(name.startswith("segment") for name in first["params"])
    project.change({"segment": {"train": {"epochs": 99}}})
    assert changed(first, record(project)) == set()
    project.change({"fuse": {"seed_threshold": 0.5}})
    assert changed(first, record(project)) == {"params", "params_hash"}
    project.commit()
    assert changed(first, record(project)) == {"params", "params_hash", "commit", "uncommitted"}


def test_data_and_code_have_hashes(project):
    first, layout = record(project), Layout(project.root)
    with (project.root / "pipeline/guide/rules.py").open("a") as f:
        f.write("# an edit\n")
    after = record(project)
    assert changed(first, after) == {"code", "code_hash", "uncommitted"}
    assert changed(first["code"], after["code"]) == {"pipeline/guide"}
    label = formats.read_label(layout.labels("full") / "p0.png")
    formats.write_label(layout.labels("full") / "p0.png", 0 * label)  # no file name changes
    assert changed(after, record(project)) == {"data"}


def test_what_dvc_hashes_holds_nothing_that_dvc_does_not_know(project, monkeypatch):
    """Another commit and other libraries change the record, and no byte of the scores."""
    layout = Layout(project.root)
    first = record(project)
    outs = [layout.scores("guide"), layout.score_tables("guide")]
    before = formats.digest(*outs)
    project.commit()
    monkeypatch.setattr(provenance, "_versions", lambda: {"python": "4.0"})
    assert changed(first, record(project)) == {"commit", "uncommitted", "versions"}
    assert formats.digest(*outs) == before


def test_scores_that_come_back_find_their_own_record(project):
    layout = Layout(project.root)
    first, scores = record(project), layout.scores("guide").read_bytes()
    label = formats.read_label(layout.labels("guide") / "p0.png")
    formats.write_label(layout.labels("guide") / "p0.png", 0 * label)
    project.change({"fuse": {"seed_threshold": 0.5}})
    assert record(project) != first
    layout.scores("guide").write_bytes(scores)  # as DVC's run cache restores it
    file = provenance.record_file(layout.made_of, layout.scores("guide"))
    assert json.loads(file.read_text()) == first


def test_the_stages_are_those_that_dvc_has():
    """The names, deps, outs and params equal those that the contract tests read."""
    ours = dict(provenance._entries(Layout(ROOT), PARAMS))
    assert set(ours) == {n if "matrix" not in s else f"{n}@guide" for n, s in STAGES.items()}
    for name, spec in STAGES.items():
        entry = ours[name if "matrix" not in spec else f"{name}@guide"]
        for kind in ("deps", "outs", "params"):
            assert set(getattr(entry, kind)) == entries(name, kind), name


@pytest.mark.parametrize("changes, present, absent", [
    ({}, {"generate", "train_saliency", "predict@guide"}, {"saliency_oracle", "predict@full"}),
    ({"saliency": {"source": "oracle"}}, {"saliency_oracle"}, {"saliency_net", "train_saliency"}),
    ({"fuse": {"evidence": "component_scores"}}, {"component_scores", "train_seed"}, {"seed"}),
    ({"segment": {"supervision": ["guide", "round2"]}}, {"relabel_round@round2", "predict@round2"},
     {"relabel_round@round3"}),
    ({"segment": {"supervision": ["full"]}}, {"predict@full"}, {"predict@guide", "fuse"}),
])  # fmt: skip
def test_params_choose_the_stages_upstream(copy, changes, present, absent):
    copy.change(changes)
    values = read_yaml(copy.root / "params.yaml")
    stages = set(provenance.upstream(Layout(copy.root), "evaluate_segment", values))
    assert present <= stages and not absent & stages
