"""dvc.yaml fits the code: deps, params and paths; and no training sees the ground truth."""

import ast
import contextlib
import re
from typing import get_args
from unittest import mock

import pytest

from pipeline.core import layout
from pipeline.core.config import Head, Train
from pipeline.core.layout import Layout
from pipeline.core.params import lay_over, read_yaml, validate
from pipeline.core.supervision import (
    BOX_ROUNDS,
    BOXES,
    LEARNED_FROM,
    MASKS,
    ROUNDS,
    SUPERVISIONS,
)
from pipeline.dataset import sources
from pipeline.dataset.config import DATA_OPTIONS
from pipeline.guide import rules
from pipeline.guide.config import Fuse
from pipeline.params import Params
from pipeline.pretext.config import PRETEXT_OPTIONS
from pipeline.pretext.tasks import TASKS
from pipeline.report import links
from pipeline.saliency.config import SALIENCY_OPTIONS
from pipeline.scores.saliency import saliency_scores
from pipeline.seeds import classifier, feature_attention, gradients, pooling
from pipeline.seeds.config import FeatureAttention, Seed, SeedMaps, SeedModel
from pipeline.segment import deeplab
from pipeline.segment.config import LOSS_OPTIONS, Segment, SegmentModel
from pipeline.training import optim
from stages import (
    _run,
    relabel,
    relabel_boxes,
    relabel_boxes_round,
    relabel_brought,
    relabel_round,
    train_segment,
)
from tests.contracts.dvc_files import FILES, PARAMS, STAGES, command, entries, filled, slices, value
from tests.contracts.imports import ROOT, closure

TRUTH = {Layout().truth.as_posix(), Layout().labels("full").as_posix()}


def test_dvc_yaml_is_short_enough_to_be_a_table_of_contents():
    assert len(FILES["dvc.yaml"].read_text().splitlines()) <= 250


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_declares_the_packages_that_it_imports_and_no_others(name):
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
        section, (*parents, last) = slim, filled(param).split(".")
        for key in parents:
            section = section.setdefault(key, {})
        section[last] = value(filled(param))
    with mock.patch.object(_run, "read_yaml", return_value=slim):
        assert set(_run.load(Layout(ROOT), slices(name))) == set(slices(name))


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_declares_only_params_that_it_reads(name):
    sections = [dotted for dotted, _ in slices(name).values()]
    for param in entries(name, "params"):
        assert any(param == s or param.startswith(s + ".") for s in sections), param


@pytest.mark.parametrize("part, whole", [(SeedModel, Seed), (SegmentModel, Segment)])
def test_the_model_of_a_part_names_the_keys_of_the_other_parts(part, whole):
    assert set(part.ELSEWHERE) == whole.model_fields.keys() - part.model_fields.keys()


def layout_paths():
    """Return every path of Layout that a stage may read or write."""
    paths = Layout()
    properties = [n for n, p in vars(Layout).items() if isinstance(p, property) and n != "locks"]
    known = {getattr(paths, n).as_posix() for n in properties}
    known |= {paths.pretext(t).as_posix() for t in PRETEXT_OPTIONS}
    known |= {paths.saliency(s).as_posix() for s in SALIENCY_OPTIONS}
    known |= {paths.labels(s).as_posix() for s in SUPERVISIONS}
    known |= {paths.segmenter(s).as_posix() for s in (ROUNDS | BOX_ROUNDS).values()}
    known |= {
        path(g).as_posix()
        for g in (*layout.SCORED, *layout.SCORED_BY_NAME)
        for path in (paths.scores, paths.score_tables)
    }
    for path in (paths.logits, paths.predictions, paths.refined, paths.label_scores):
        known |= {path("guide").as_posix(), path("full").as_posix()}
    return known


def test_the_paths_of_layout_are_the_declared_deps_and_outs():
    known = layout_paths()
    parts = {
        "data/logits",
        "data/predictions",
        "data/refined",
        "data/scores/labels",
        "data/models/segment",
        "data/models/seed/net.json",
    }
    inputs = {
        "data/raw/shapes/tags.csv",
        "data/raw/shapes/boxes.json",
        "data/raw/brought",
        "data/corrections",
        "data/lists",
        "data/raw/saliency",
        "data/raw/u2netp.onnx",
    }
    used = {p for n in STAGES for kind in ("deps", "outs", "metrics") for p in entries(n, kind)}
    assert {p for p in used if p.startswith("data/")} <= known | parts | inputs
    not_tracked = {"params.yaml", "ablation/params.yaml", "ablation/tables.yaml"}
    not_tracked |= {".resume", "data/log", "data/params_before.yaml", "data/findings.json"}
    not_tracked |= {"data/scores/made_of"}
    assert {p for p in known if "full" not in p} - not_tracked <= used


@pytest.mark.parametrize("name", STAGES)
def test_no_training_stage_sees_the_truth(name):
    """Only scoring may read the masks. The exceptions are the choices `oracle` and `full`."""
    masks = TRUTH & entries(name, "deps")
    assert Layout().difficult.as_posix() not in entries(name, "deps") or name == "evaluate_seed"
    if name.startswith("evaluate_") or name in ("report", "saliency_oracle", "score_labels"):
        assert masks == TRUTH
    else:
        assert not masks
    module, _ = command(name)
    code = (ROOT / "stages" / f"{module}.py").read_text()
    if re.search(r"\.truth|labels\(\"full\"\)", code):
        assert re.fullmatch(r"prepare|evaluate_\w+|score_labels|report|saliency", module)


@pytest.mark.parametrize("task", TASKS)
def test_a_pretext_task_sees_images_and_ids_alone(task):
    """samples.csv holds tags, too, so the code must not name them."""
    data = {d for d in entries(f"pretext@{task}", "deps") if d.startswith("data/")}
    assert data == {Layout().samples.as_posix()}
    code = [ROOT / "stages/pretext.py", *(ROOT / "pipeline/pretext").glob("*.py")]
    names = {
        getattr(node, field)
        for path in code
        for node in ast.walk(ast.parse(path.read_text()))
        for field in ("attr", "id", "name")
        if isinstance(getattr(node, field, None), str)
    }
    assert {"image", "split"} <= names
    assert not names & {"tags", "tag_vectors", "classes", "labels", "truth", "read_truth"}


def upstream(path, supervision, seen):
    """Collect in `seen` all files that `path` is made from, back to those that prepare writes."""
    makers = [n for n in STAGES if path in entries(n, "outs", supervision) and n != "prepare"]
    for name in makers:
        for dep in entries(name, "deps", supervision) - seen:
            seen.add(dep)
            for s in {supervision, *(ROUNDS | BOX_ROUNDS).values()}:
                upstream(dep, s, seen)
    return seen


@pytest.mark.parametrize("supervision", SUPERVISIONS)
def test_oracle_and_full_are_the_only_supervisions_that_see_the_truth(supervision):
    """This holds for the files that a stage reads, and for all files that these are made from."""
    made_from = upstream(Layout().segmenter(supervision).as_posix(), supervision, set())
    assert Layout().samples.as_posix() in made_from
    assert bool(TRUTH & made_from) == (supervision in ("oracle", "full"))


@pytest.mark.parametrize("supervision", SUPERVISIONS)
def test_boxes_are_a_supervision_of_their_own(supervision):
    """Only the segmenters that learn from boxes see them; neither guide labels nor their inputs."""
    made_from = upstream(Layout().segmenter(supervision).as_posix(), supervision, set())
    assert (value("boxes.path") in made_from) == (supervision in (*BOXES, *BOX_ROUNDS))


def test_only_the_stages_that_make_their_labels_read_boxes():
    readers = {name for name in STAGES if value("boxes.path") in entries(name, "deps")}
    assert readers == {f"relabel_boxes@{s}" for s in BOXES} | {
        f"relabel_boxes_round@{s}" for s in BOX_ROUNDS
    }


@pytest.mark.parametrize("supervision", SUPERVISIONS)
def test_brought_masks_are_a_supervision_of_their_own(supervision):
    """Each of the two folders is an input of one supervision alone, and neither is the truth."""
    made_from = upstream(Layout().segmenter(supervision).as_posix(), supervision, set())
    folders = {"brought": value("brought.path"), "corrected": value("brought.corrections")}
    assert {name for name, path in folders.items() if path in made_from} == {supervision} & {*MASKS}
    assert set(folders) == set(MASKS) == set(relabel_brought.FATE)
    readers = {n for n in STAGES if {*folders.values()} & entries(n, "deps")}
    assert readers == {f"relabel_{name}" for name in MASKS}


def test_every_supervision_says_what_it_learns_from():
    assert list(LEARNED_FROM) and set(LEARNED_FROM) == set(SUPERVISIONS)
    assert {s for s, text in LEARNED_FROM.items() if "truth" in text} == {"oracle", "full"}
    assert {s for s, text in LEARNED_FROM.items() if "that the user" in text} == set(MASKS)


def test_every_supervision_has_its_labels():
    made = {p for n in STAGES for p in entries(n, "outs")}
    assert {Layout().labels(s).as_posix() for s in SUPERVISIONS} <= made
    optional = read_yaml(FILES["optional/dvc.yaml"])["stages"]
    assert optional["relabel_round"]["foreach"] == ROUNDS
    rounds = optional["relabel_boxes_round"]["foreach"]
    assert {name: item["last"] for name, item in rounds.items()} == BOX_ROUNDS
    modules = (relabel, relabel_boxes, relabel_boxes_round, relabel_brought, relabel_round)
    slices = [name for module in modules for name in module.SLICES]
    assert sorted(slices) == sorted(set(SUPERVISIONS) - {"guide", "full"})


@pytest.mark.parametrize("path", sorted((ROOT / "presets").glob("*.yaml")), ids=lambda p: p.stem)
def test_presets_are_valid_over_the_base(path):
    base = read_yaml(ROOT / "presets/shapes.yaml")
    lay_over(base, read_yaml(path))
    validate(Params, base, where=path.name)


def test_every_evidence_of_fuse_is_the_folder_of_a_stage():
    made, here = {p for n in STAGES for p in entries(n, "outs")}, Layout()
    names = get_args(Fuse.model_fields["evidence"].annotation)
    folders = {"data/${fuse.evidence}".replace("${fuse.evidence}", name) for name in names}
    assert "data/${fuse.evidence}" in STAGES["fuse"]["deps"]
    assert folders == {here.maps.as_posix(), here.component_scores.as_posix()} <= made


@pytest.mark.parametrize("rule", rules.RULES)
def test_a_guide_rule_takes_one_kind_of_evidence(rule):
    taken = set()
    for evidence in get_args(Fuse.model_fields["evidence"].annotation):
        with contextlib.suppress(ValueError):
            Fuse.model_validate(PARAMS["fuse"] | {"rule": rule, "evidence": evidence})
            taken.add(evidence)
    assert taken == {"component_scores" if rule == "g1" else "maps"}


def test_each_group_of_links_is_scored_by_a_stage_that_needs_no_later_link():
    for group in (*layout.SCORED, *layout.SCORED_BY_NAME):
        outs = entries(f"evaluate_{group}", "outs") | entries(f"evaluate_{group}", "metrics")
        assert outs == {f"data/scores/{group}", f"data/scores/{group}.json"}
    for group, later in (("seed", "segment|saliency/"), ("saliency", "segment|maps"),
                         ("guide", "segment|maps"), ("maps", "segment|saliency/")):  # fmt: skip
        assert not [d for d in entries(f"evaluate_{group}", "deps") if re.search(later, d)]


def test_every_choice_has_options_and_an_implementation():
    for choice, options, kinds in (
        (PARAMS["seed"]["pooling"], PARAMS["seed"]["options"], pooling.POOLING_OPTIONS),
        (
            PARAMS["seed"]["feature_attention"]["kind"],
            PARAMS["seed"]["feature_attention"]["options"],
            FeatureAttention.KINDS,
        ),
        (PARAMS["pretext"]["task"], PARAMS["pretext"]["options"], PRETEXT_OPTIONS),
        (PARAMS["segment"]["loss"], PARAMS["segment"]["options"], LOSS_OPTIONS),
        (PARAMS["saliency"]["source"], PARAMS["saliency"]["options"], SALIENCY_OPTIONS),
        (PARAMS["data"]["source"], PARAMS["data"]["options"], DATA_OPTIONS),
    ):
        assert choice in options and set(options) == set(kinds)
    assert {*TASKS, "none"} == set(PRETEXT_OPTIONS)
    assert set(train_segment.LOSSES) == set(LOSS_OPTIONS)
    assert set(pooling.POOLINGS) == set(pooling.POOLING_OPTIONS)
    assert set(feature_attention.FEATURE_ATTENTIONS) == set(FeatureAttention.KINDS)
    assert set(saliency_scores.TRAINED_ON) == set(SALIENCY_OPTIONS)
    assert set(links.SEGMENTERS) == set(SUPERVISIONS)
    assert set(sources.SOURCES) == set(DATA_OPTIONS)
    for implemented, model, field in (
        (rules.RULES, Fuse, "rule"),
        ({*gradients.KINDS, "class_maps"}, SeedMaps, "kind"),
        (optim.SCHEDULES, Train, "schedule"),
        (classifier.HIDDEN, SeedModel, "hidden"),
        (classifier.LOSSES, SeedModel, "loss"),
    ):
        assert set(implemented) == set(get_args(model.model_fields[field].annotation)), field
    assert set(deeplab.HEADS) == set(get_args(Head))
