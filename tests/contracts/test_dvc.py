"""dvc.yaml against the code: deps cover imports, params suffice, paths agree, truth stays apart."""

import importlib
import json
import re
from typing import get_args
from unittest import mock

import pytest

from pipeline import blocks, choices, config, layout, params
from pipeline.layout import Layout
from stages import _run, relabel, train_segment
from tests.contracts.imports import ROOT, closure

PARAMS = params.read_yaml(ROOT / "presets/shapes.yaml")
FILES = {"dvc.yaml": ROOT / "dvc.yaml", "sources/dvc.yaml": ROOT / "sources/dvc.yaml"}


def each(name, body):
    """A stage of a dvc.yaml, or one for each entry of its foreach, as dvc names them."""
    if "foreach" not in body:
        return {name: body}
    return {
        f"{name}@{key}": json.loads(
            json.dumps(body["do"]).replace("${key}", key).replace("${item}", item)
        )
        for key, item in body["foreach"].items()
    }


STAGES = {
    one: spec
    for path in FILES.values()
    for name, body in params.read_yaml(path)["stages"].items()
    for one, spec in each(name, body).items()
}
MODULES = {n: re.match(r"python -m stages\.(\w+)", b["cmd"]).group(1) for n, b in STAGES.items()}


def value(name, params=PARAMS):
    for key in name.split("."):
        params = params[key]
    return params


def filled(text, supervision="guide"):
    """A dvc.yaml string with its ${...} replaced."""
    text = text.replace("${item.supervision}", supervision)
    return re.sub(r"\$\{([\w.]+)\}", lambda m: str(value(m.group(1))), text)


def paths(name, kind, supervision="guide"):
    entries = STAGES[name].get(kind, [])
    return {filled(e if isinstance(e, str) else next(iter(e)), supervision) for e in entries}


def declared_slices(name):
    """What the stage's module asks of params.yaml, caught at its door."""
    source = (ROOT / "stages" / f"{MODULES[name]}.py").read_text()
    main = source[source.index('if __name__ == "__main__":') :].partition("\n")[2]
    module = importlib.import_module(f"stages.{MODULES[name]}")
    argument = filled(STAGES[name]["cmd"]).split()[3:]
    with mock.patch.object(_run, "main") as door, mock.patch("sys.argv", ["stage", *argument]):
        exec(re.sub(r"^    ", "", main, flags=re.M), vars(module))
    return {k: v for k, v in door.call_args.kwargs.items() if k != "shared"}


@pytest.mark.parametrize("name", STAGES)
def test_deps_cover_the_import_closure_exactly(name):
    code = {d for d in paths(name, "deps") if d.endswith(".py")}
    assert code == closure(ROOT / "stages" / f"{MODULES[name]}.py")


@pytest.mark.parametrize("name", STAGES)
def test_config_validates_from_the_declared_params_alone(name):
    slim = {}
    for param in STAGES[name].get("params", []):
        here, (*parents, last) = slim, filled(param).split(".")
        for key in parents:
            here = here.setdefault(key, {})
        here[last] = value(filled(param))
    with mock.patch.object(params, "read_yaml", return_value=slim):
        got = _run.load(Layout(ROOT), declared_slices(name))
    assert set(got) == set(declared_slices(name))


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_declares_no_param_it_does_not_read(name):
    wanted = [dotted for dotted, _ in declared_slices(name).values()]
    for param in map(filled, STAGES[name].get("params", [])):
        assert any(param == w or param.startswith(w + ".") for w in wanted), param


def test_layout_equals_deps_and_outs():
    here = Layout()
    known = {getattr(here, n).as_posix() for n in layout.PATHS}
    known |= {here.saliency(s).as_posix() for s in choices.SALIENCY_OPTIONS}
    known |= {here.labels(s).as_posix() for s in blocks.SUPERVISIONS}
    known |= {here.segmenter(s).as_posix() for s in blocks.ROUNDS.values()}
    known |= {of(g).as_posix() for g in layout.SCORED for of in (here.scores, here.score_tables)}
    for of in (here.logits, here.predictions, here.refined):
        known |= {of("guide").as_posix(), of("full").as_posix()}
    known |= {
        "data/predictions",
        "data/refined",
        "data/models/seed/net.json",
        "data/models/segment",
    }
    used = {p for n in STAGES for kind in ("deps", "outs", "metrics") for p in paths(n, kind)}
    data = {p for p in used if p.startswith("data/") and not p.endswith((".onnx", "raw/saliency"))}
    assert data - {"data/raw/shapes/tags.csv", "data/lists"} <= known
    not_tracked = {"params.yaml", "ablation/params.yaml", "ablation/tables.yaml"}
    not_tracked |= {".resume", "data/log", "data/params_before.yaml"}
    assert {p for p in known if "full" not in p} - not_tracked <= used


@pytest.mark.parametrize("name", STAGES)
def test_no_training_stage_sees_the_truth(name):
    """Tags go one way, masks another; the exceptions are declared choices."""
    truth = {Layout().truth.as_posix(), Layout().labels("full").as_posix()}
    seen = truth & paths(name, "deps")
    assert Layout().difficult.as_posix() not in paths(name, "deps") or name == "evaluate_seed"
    if name.startswith("evaluate_") or name in ("report", "saliency_oracle"):
        assert seen == truth
    else:
        assert not seen
    code = (ROOT / "stages" / f"{MODULES[name]}.py").read_text()
    if re.search(r"\.truth|labels\(\"full\"\)", code):
        assert re.fullmatch(r"prepare|evaluate_\w+|report|saliency", MODULES[name])


def upstream(path, supervision, seen):
    """All files that `path` is made from, down to what prepare writes."""
    makers = [n for n in STAGES if path in paths(n, "outs", supervision) and n != "prepare"]
    for name in makers:
        for dep in paths(name, "deps", supervision) - seen:
            seen.add(dep)
            for s in {supervision, *blocks.ROUNDS.values()}:
                upstream(dep, s, seen)
    return seen


@pytest.mark.parametrize("supervision", blocks.SUPERVISIONS)
def test_oracle_and_full_are_the_only_supervisions_that_see_the_truth(supervision):
    """Not only what a stage reads, but all that was made from."""
    truth = {Layout().truth.as_posix(), Layout().labels("full").as_posix()}
    made_from = upstream(Layout().segmenter(supervision).as_posix(), supervision, set())
    assert Layout().samples.as_posix() in made_from
    assert bool(truth & made_from) == (supervision in ("oracle", "full"))


def test_every_supervision_has_its_labels():
    made = {p for n in STAGES for p in paths(n, "outs")}
    assert {Layout().labels(s).as_posix() for s in blocks.SUPERVISIONS} <= made
    values, *_ = get_args(config.Supervision)
    assert tuple(blocks.SUPERVISIONS) == get_args(get_args(values)[0])
    rounds = params.read_yaml(FILES["sources/dvc.yaml"])["stages"]["relabel"]["foreach"]
    assert rounds == blocks.ROUNDS
    assert set(relabel.MAKERS) == set(blocks.SUPERVISIONS) - {"guide", "full"}


@pytest.mark.parametrize("name", STAGES)
def test_commands_are_modules(name):
    assert STAGES[name]["cmd"].startswith(f"python -m stages.{MODULES[name]}")


@pytest.mark.parametrize("path", sorted((ROOT / "presets").glob("*.yaml")), ids=lambda p: p.stem)
def test_presets_are_valid_over_the_base(path):
    base = params.read_yaml(ROOT / "presets/shapes.yaml")
    params.lay_over(base, params.read_yaml(path))
    params.validate(config.Params, base, where=path.name)


def test_every_group_of_links_has_its_stage_and_part_of_the_chain_can_be_scored_alone():
    for group in layout.SCORED:
        outs = paths(f"evaluate_{group}", "outs") | paths(f"evaluate_{group}", "metrics")
        assert outs == {f"data/scores/{group}", f"data/scores/{group}.json"}
    assert not any("segment" in d or "saliency/" in d for d in paths("evaluate_seed", "deps"))
    assert not any("segment" in d or "maps" in d for d in paths("evaluate_saliency", "deps"))
    assert not any("segment" in d or "maps" in d for d in paths("evaluate_guide", "deps"))


def test_every_choice_names_its_options():
    for choice, options, kinds in (
        (PARAMS["seed"]["pooling"], PARAMS["seed"]["options"], choices.POOLING_OPTIONS),
        (PARAMS["segment"]["loss"], PARAMS["segment"]["options"], choices.LOSS_OPTIONS),
        (PARAMS["saliency"]["source"], PARAMS["saliency"]["options"], choices.SALIENCY_OPTIONS),
        (PARAMS["data"]["source"], PARAMS["data"]["options"], choices.DATA_OPTIONS),
    ):
        assert choice in options and set(options) == set(kinds)
    assert set(train_segment.LOSSES) == set(choices.LOSS_OPTIONS)
