"""The state of each stage, from DVC's report on the stages that themselves changed."""

import pytest

from app import graph
from pipeline.core.errors import UserError
from pipeline.params import load_params
from tests.project import CHAIN, ROOT

DOT = """strict digraph {
"prepare";
"train_seed";
"seed";
"fuse";
"report";
"optional/dvc.yaml:generate";
"optional/dvc.yaml:saliency_net";
"prepare" -> "train_seed";
"prepare" -> "optional/dvc.yaml:saliency_net";
"train_seed" -> "seed";
"seed" -> "fuse";
"fuse" -> "report";
"optional/dvc.yaml:generate" -> "prepare";
"optional/dvc.yaml:saliency_net" -> "fuse";
"optional/dvc.yaml:saliency_net" -> "report";
}
"""
CHANGED = [{"changed deps": {"params.yaml": {"fuse": "modified"}}}]


def states(changed):
    return dict(graph.states(changed, graph.parse(DOT)))


def test_a_stage_comes_after_the_stages_that_it_reads():
    chain = graph.parse(DOT)
    order = list(chain)
    assert set(order) == set(states({})) and order[0] == "optional/dvc.yaml:generate"
    assert all(order.index(b) < order.index(s) for s, before in chain.items() for b in before)


def test_without_a_change_all_is_up_to_date():
    assert set(states({}).values()) == {"up to date"}


def test_stages_that_read_a_changed_stage_run_after_it():
    rows = states({"optional/dvc.yaml:saliency_net": CHANGED})
    assert {stage: state for stage, state in rows.items() if state != "up to date"} == {
        "optional/dvc.yaml:saliency_net": "must run: params.yaml: changed",
        "fuse": "runs after saliency_net",
        "report": "runs after fuse",
    }


def test_all_stages_run_after_a_changed_first_stage():
    rows = states({"optional/dvc.yaml:generate": CHANGED})
    assert rows["prepare"] == "runs after generate"
    assert "up to date" not in rows.values()


@pytest.mark.parametrize("out_state", ["deleted", "not in cache"])
def test_a_stage_without_outputs_has_not_run_yet(out_state):
    """After `git clone`, dvc.lock names outputs that are not in the cache."""
    code = {"changed deps": {"stages/report.py": "modified", "params.yaml": {"report": "new"}}}
    changes = [code, {"changed outs": {"data/report": out_state}}]
    assert states({"report": changes})["report"] == "not run yet"


def test_a_stage_with_outputs_says_why_it_must_run():
    changes = [{"changed deps": {"data/new": "modified", "data/deleted.csv": "modified"}}]
    reasons = "data/new: modified, data/deleted.csv: modified"
    assert states({"report": changes})["report"] == f"must run: {reasons}"


def test_names_of_stages(monkeypatch):
    monkeypatch.chdir(ROOT)
    params = load_params(ROOT / "presets/shapes.yaml")
    assert graph.address("fuse", params) == "fuse"
    assert graph.address("predict@full", params) == "predict@full"
    assert graph.address("generate", params) == "optional/dvc.yaml:generate"
    assert graph.address("saliency", params) == "optional/dvc.yaml:saliency_net"
    with pytest.raises(UserError, match="no stage 'fuze'; choose one of prepare, "):
        graph.address("fuze", params)


def chosen_chain():
    from app import dvc_process

    return graph.parse(dvc_process.ask("dag", "--dot", graph.LAST))


def test_the_graph_holds_the_whole_chain(project):
    assert sorted(chosen_chain()) == sorted(CHAIN)


def test_component_scores_are_in_the_chain_under_g1_alone(copy, monkeypatch):
    monkeypatch.chdir(copy.root)
    scores = "optional/dvc.yaml:component_scores"
    for rule, evidence, more in (("g0", "maps", []), ("g1", "component_scores", [scores])):
        copy.change({"fuse": {"rule": rule, "evidence": evidence}})
        chain = chosen_chain()
        assert sorted(chain) == sorted([*CHAIN, *more])
        assert [s for s, before in chain.items() if scores in before] == (["fuse"] if more else [])
        assert ("seed" in chain["fuse"]) == (not more)
    assert chain[scores] == {"prepare", "train_seed", "optional/dvc.yaml:saliency_net"}
