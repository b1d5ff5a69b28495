"""dvc.yaml against the code: deps cover imports, params suffice, paths agree, truth stays apart."""

import re
from typing import get_args
from unittest import mock

import pytest

from pipeline.core import layout
from pipeline.core.config import Head, Train
from pipeline.core.layout import Layout
from pipeline.core.params import lay_over, read_yaml, validate
from pipeline.core.supervision import ROUNDS, SUPERVISIONS
from pipeline.dataset import sources
from pipeline.dataset.config import DATA_OPTIONS
from pipeline.guide import rules
from pipeline.guide.config import Fuse
from pipeline.params import Params
from pipeline.report import links
from pipeline.saliency.config import SALIENCY_OPTIONS
from pipeline.scores.saliency import saliency_scores
from pipeline.seeds import classifier, gradients, pooling
from pipeline.seeds.config import Seed, SeedMaps, SeedModel
from pipeline.segment import deeplab
from pipeline.segment.config import LOSS_OPTIONS, Segment, SegmentModel
from pipeline.training import optim
from stages import _run, relabel, train_segment
from tests.contracts.dvc_files import FILES, PARAMS, STAGES, command, entries, filled, slices, value
from tests.contracts.imports import ROOT, closure

TRUTH = {Layout().truth.as_posix(), Layout().labels("full").as_posix()}


def test_the_chain_is_short_enough_to_be_its_table_of_contents():
    assert len(FILES["dvc.yaml"].read_text().splitlines()) <= 250


@pytest.mark.parametrize("name", STAGES)
def test_a_stages_imports_lie_in_its_declared_packages(name):
    module, _ = command(name)
    code = {d for d in entries(name, "deps") if d.startswith(("pipeline", "stages"))}
    imported = closure(ROOT / "stages" / f"{module}.py")
    files = {path for path in imported if path.startswith("stages/")}
    packages, needed = code - files, imported - files
    assert {d for d in code if d.endswith(".py")} == files
    for path in needed:
        assert any(path.startswith(f"{package}/") for package in packages), path
    for package in packages:
        assert (ROOT / package).is_dir()
        assert any(path.startswith(f"{package}/") for path in needed), f"{package} is not needed"


@pytest.mark.parametrize("name", STAGES)
def test_config_validates_from_the_declared_params_alone(name):
    slim = {}
    for param in STAGES[name].get("params", []):
        here, (*parents, last) = slim, filled(param).split(".")
        for key in parents:
            here = here.setdefault(key, {})
        here[last] = value(filled(param))
    with mock.patch.object(_run, "read_yaml", return_value=slim):
        assert set(_run.load(Layout(ROOT), slices(name))) == set(slices(name))


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_declares_no_param_it_does_not_read(name):
    wanted = [dotted for dotted, _ in slices(name).values()]
    for param in entries(name, "params"):
        assert any(param == w or param.startswith(w + ".") for w in wanted), param


@pytest.mark.parametrize("part, whole", [(SeedModel, Seed), (SegmentModel, Segment)])
def test_a_part_of_a_section_names_the_keys_it_leaves_to_others(part, whole):
    assert set(part.ELSEWHERE) == whole.model_fields.keys() - part.model_fields.keys()


def layout_paths():
    """Every path of Layout that a stage may read or write."""
    here = Layout()
    fixed = [n for n, p in vars(Layout).items() if isinstance(p, property)]
    known = {getattr(here, n).as_posix() for n in fixed}
    known |= {here.saliency(s).as_posix() for s in SALIENCY_OPTIONS}
    known |= {here.labels(s).as_posix() for s in SUPERVISIONS}
    known |= {here.segmenter(s).as_posix() for s in ROUNDS.values()}
    known |= {
        path(g).as_posix()
        for g in (*layout.SCORED, *layout.SCORED_BY_NAME)
        for path in (here.scores, here.score_tables)
    }
    for path in (here.logits, here.predictions, here.refined):
        known |= {path("guide").as_posix(), path("full").as_posix()}
    return known


def test_layout_equals_deps_and_outs():
    known = layout_paths()
    parts = {"data/predictions", "data/refined", "data/models/segment", "data/models/seed/net.json"}
    brought = {
        "data/raw/shapes/tags.csv",
        "data/lists",
        "data/raw/saliency",
        "data/raw/u2netp.onnx",
    }
    used = {p for n in STAGES for kind in ("deps", "outs", "metrics") for p in entries(n, kind)}
    assert {p for p in used if p.startswith("data/")} <= known | parts | brought
    not_tracked = {"params.yaml", "ablation/params.yaml", "ablation/tables.yaml"}
    not_tracked |= {".resume", "data/log", "data/params_before.yaml"}
    assert {p for p in known if "full" not in p} - not_tracked <= used


@pytest.mark.parametrize("name", STAGES)
def test_no_training_stage_sees_the_truth(name):
    """Tags go one way, masks another; the exceptions are declared choices."""
    seen = TRUTH & entries(name, "deps")
    assert Layout().difficult.as_posix() not in entries(name, "deps") or name == "evaluate_seed"
    if name.startswith("evaluate_") or name in ("report", "saliency_oracle"):
        assert seen == TRUTH
    else:
        assert not seen
    module, _ = command(name)
    code = (ROOT / "stages" / f"{module}.py").read_text()
    if re.search(r"\.truth|labels\(\"full\"\)", code):
        assert re.fullmatch(r"prepare|evaluate_\w+|report|saliency", module)


def upstream(path, supervision, seen):
    """All files that `path` is made from, down to what prepare writes."""
    makers = [n for n in STAGES if path in entries(n, "outs", supervision) and n != "prepare"]
    for name in makers:
        for dep in entries(name, "deps", supervision) - seen:
            seen.add(dep)
            for s in {supervision, *ROUNDS.values()}:
                upstream(dep, s, seen)
    return seen


@pytest.mark.parametrize("supervision", SUPERVISIONS)
def test_oracle_and_full_are_the_only_supervisions_that_see_the_truth(supervision):
    """Not only what a stage reads, but all that was made from."""
    made_from = upstream(Layout().segmenter(supervision).as_posix(), supervision, set())
    assert Layout().samples.as_posix() in made_from
    assert bool(TRUTH & made_from) == (supervision in ("oracle", "full"))


def test_every_supervision_has_its_labels():
    made = {p for n in STAGES for p in entries(n, "outs")}
    assert {Layout().labels(s).as_posix() for s in SUPERVISIONS} <= made
    rounds = read_yaml(FILES["optional/dvc.yaml"])["stages"]["relabel"]["foreach"]
    assert rounds == ROUNDS
    assert set(relabel.SLICES) == set(SUPERVISIONS) - {"guide", "full"}


@pytest.mark.parametrize("path", sorted((ROOT / "presets").glob("*.yaml")), ids=lambda p: p.stem)
def test_presets_are_valid_over_the_base(path):
    base = read_yaml(ROOT / "presets/shapes.yaml")
    lay_over(base, read_yaml(path))
    validate(Params, base, where=path.name)


def test_every_group_of_links_has_its_stage_and_part_of_the_chain_can_be_scored_alone():
    for group in (*layout.SCORED, *layout.SCORED_BY_NAME):
        outs = entries(f"evaluate_{group}", "outs") | entries(f"evaluate_{group}", "metrics")
        assert outs == {f"data/scores/{group}", f"data/scores/{group}.json"}
    for group, later in (("seed", "segment|saliency/"), ("saliency", "segment|maps"),
                         ("guide", "segment|maps"), ("maps", "segment|saliency/")):  # fmt: skip
        assert not [d for d in entries(f"evaluate_{group}", "deps") if re.search(later, d)]


def test_every_choice_names_its_options():
    for choice, options, kinds in (
        (PARAMS["seed"]["pooling"], PARAMS["seed"]["options"], pooling.POOLING_OPTIONS),
        (PARAMS["segment"]["loss"], PARAMS["segment"]["options"], LOSS_OPTIONS),
        (PARAMS["saliency"]["source"], PARAMS["saliency"]["options"], SALIENCY_OPTIONS),
        (PARAMS["data"]["source"], PARAMS["data"]["options"], DATA_OPTIONS),
    ):
        assert choice in options and set(options) == set(kinds)
    assert set(train_segment.LOSSES) == set(LOSS_OPTIONS)
    assert set(pooling.POOLINGS) == set(pooling.POOLING_OPTIONS)
    assert set(saliency_scores.TRAINED_ON) == set(SALIENCY_OPTIONS)
    assert set(links.SEGMENTERS) == set(SUPERVISIONS)
    assert set(sources.SOURCES) == set(DATA_OPTIONS)
    for made, model, field in (
        (rules.RULES, Fuse, "rule"),
        ({*gradients.KINDS, "class_maps"}, SeedMaps, "kind"),
        (optim.SCHEDULES, Train, "schedule"),
        (classifier.HIDDEN, SeedModel, "hidden"),
        (classifier.LOSSES, SeedModel, "loss"),
    ):
        assert set(made) == set(get_args(model.model_fields[field].annotation)), field
    assert set(deeplab.HEADS) == set(get_args(Head))
