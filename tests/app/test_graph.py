"""How each stage stands, from what dvc says of those that changed by themselves."""

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


def test_a_stage_comes_after_all_that_it_reads():
    chain = graph.parse(DOT)
    order = list(chain)
    assert set(order) == set(states({})) and order[0] == "optional/dvc.yaml:generate"
    assert all(order.index(b) < order.index(s) for s, before in chain.items() for b in before)


def test_nothing_changed():
    assert set(states({}).values()) == {"up to date"}


def test_what_reads_a_changed_stages_outputs_follows_it():
    found = states({"optional/dvc.yaml:saliency_net": CHANGED})
    assert {s: w for s, w in found.items() if w != "up to date"} == {
        "optional/dvc.yaml:saliency_net": "must run: params.yaml: changed",
        "fuse": "runs after saliency_net",
        "report": "runs after fuse",
    }


def test_the_first_stage_is_followed_by_all():
    found = states({"optional/dvc.yaml:generate": CHANGED})
    assert found["prepare"] == "runs after generate"
    assert "up to date" not in found.values()


def test_a_new_stage_has_not_run_yet():
    assert states({"report": [{"changed outs": {"data/report": "deleted"}}]})["report"] == (
        "not run yet"
    )


def test_names_of_stages(monkeypatch):
    monkeypatch.chdir(ROOT)
    chosen = load_params(ROOT / "presets/shapes.yaml")
    assert graph.address("fuse", chosen) == "fuse"
    assert graph.address("predict@full", chosen) == "predict@full"
    assert graph.address("generate", chosen) == "optional/dvc.yaml:generate"
    assert graph.address("saliency", chosen) == "optional/dvc.yaml:saliency_net"
    with pytest.raises(UserError, match="no stage 'fuze'; choose one of prepare, "):
        graph.address("fuze", chosen)


def chosen_chain():
    from app import dvc_process

    return graph.parse(dvc_process.ask("dag", "--dot", graph.LAST))


def test_the_whole_chain(project):
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
