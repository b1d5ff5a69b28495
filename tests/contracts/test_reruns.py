"""The stages that an edit reruns directly. Later stages rerun only if an output changes."""

import pytest

from pipeline.core.params import fingerprint, lay_over, section
from pipeline.seeds.config import SeedModel
from pipeline.segment.config import SegmentModel
from tests.contracts.dvc_files import STAGES, depends_on_file, depends_on_param
from tests.contracts.imports import ROOT

CHAIN = {
    "generate", "prepare", "train_seed", "seed", "train_saliency", "saliency_net", "fuse",
    "diffuse", "train_segment", "predict", "refine", "evaluate_seed", "evaluate_saliency",
    "evaluate_guide", "score_labels", "evaluate_segment", "report",
}  # fmt: skip
TRAININGS = {"train_seed", "train_saliency", "train_segment"}
NETWORKS = {*TRAININGS, "seed", "saliency_net", "predict"}

FILES = {
    "pipeline/seeds/pooling.py": {"train_seed", "seed"},
    "pipeline/seeds/gradients.py": {"train_seed", "seed"},
    "pipeline/dataset/voc.py": {"generate", "prepare"},
    "pipeline/guide/rules.py": {"fuse", "diffuse"},
    "pipeline/guide/seed_rule.py": {"fuse", "diffuse"},
    "pipeline/crf/dense.py": {"diffuse", "refine", "predict", "train_segment", "train_saliency"},
    "pipeline/training/fit.py": TRAININGS,
    "pipeline/inference/infer.py": {"seed", "saliency_net", "predict", "train_saliency"},
    "pipeline/nets/backbones.py": NETWORKS,
    "pipeline/segment/deeplab.py": {
        "train_saliency", "saliency_net", "train_segment", "predict"
    },
    "pipeline/boxes/grabcut.py": {"train_saliency"},
    "pipeline/saliency/boxes.py": {"train_saliency", "saliency_net"},
    "pipeline/scores/seed/localise.py": {"evaluate_seed"},
    "pipeline/scores/saliency/saliency_scores.py": {"evaluate_saliency"},
    "pipeline/scores/labels/label_scores.py": {
        "evaluate_guide", "score_labels", "evaluate_segment"
    },
    "pipeline/scores/calibration/reliability.py": {"evaluate_seed", "evaluate_segment"},
    "pipeline/report/page.py": {"report"},
    "pipeline/report/templates/report.html": {"report"},
    "pipeline/report/templates/page.js": {"report"},
    "pipeline/pretext/tasks.py": set(),
    "pipeline/brought/masks.py": set(),
    "pipeline/params.py": set(),
    "stages/fuse.py": {"fuse"},
    "stages/_run.py": CHAIN,
    "stages/_resume.py": {
        "prepare", *NETWORKS, "fuse", "diffuse", "refine", "report"
    },
    "app/doctor.py": set(),
    "cli.py": set(),
}  # fmt: skip
PARAMS = {
    "pretext.task": {"train_seed", "train_segment"},
    "pretext.train.epochs": set(),  # of no chosen task
    "seed.pooling": {"train_seed"},
    "seed.options.gap": {"train_seed"},
    "seed.options.wildcat.alpha": set(),  # not the chosen pooling
    "seed.feature_attention.kind": {"train_seed"},
    "seed.feature_attention.options.adl.drop_rate": set(),  # not the chosen kind
    "seed.maps.scales": {"seed"},
    "saliency.options.classical.superpixels": set(),
    "fuse.seed_rule": {"fuse"},
    "fuse.seed_threshold": {"fuse"},
    "fuse.saliency_threshold": {"fuse", "evaluate_saliency", "report"},
    "diffuse.unary": {"diffuse"},
    "crf.deeplab.bilateral_w": {"diffuse", "refine", "train_saliency"},
    "crf.seed.bilateral_w": set(),
    "segment.options.sec.decay_tags": set(),
    "segment.train.epochs": {"train_segment"},
    "segment.predict.flip": {"predict"},
    "report.best": {"report"},
    "report.images": {"report"},
}


@pytest.mark.parametrize("path", FILES)
def test_an_edited_file_reruns_these_stages(path):
    assert (ROOT / path).is_file()
    assert {name for name in CHAIN if depends_on_file(name, path)} == FILES[path]


@pytest.mark.parametrize("param", PARAMS)
def test_a_changed_param_reruns_these_stages(param):
    assert {name for name in CHAIN if depends_on_param(name, param)} == PARAMS[param]


@pytest.mark.parametrize("param, reruns", [
    ("seed.maps.size_px", True), ("saliency.source", True), ("fuse.saliency_threshold", True),
    ("fuse.min_saliency_fraction", True), ("fuse.seed_threshold", False), ("fuse.rule", False),
    ("fuse.unlabelled", False), ("seed.pooling", False),
])  # fmt: skip
def test_what_makes_the_component_scores_again(param, reruns):
    assert depends_on_param("component_scores", param) == reruns


@pytest.mark.parametrize("param, reruns", [
    ("pretext.options.simclr.temperature", {"simclr"}), ("pretext.task", set()),
    ("pretext.backbone", {"rotation", "simclr"}), ("pretext.train.epochs", {"rotation", "simclr"}),
])  # fmt: skip
def test_what_trains_a_pretext_trunk_again(param, reruns):
    tasks = ("rotation", "simclr")
    assert {t for t in tasks if depends_on_param(f"pretext@{t}", param)} == reruns
    for path in ("pipeline/pretext/tasks.py", "pipeline/training/fit.py"):
        assert all(depends_on_file(f"pretext@{t}", path) for t in tasks)


def test_every_stage_of_the_chain_exists():
    assert set(STAGES) >= CHAIN


UNCHOSEN = [
    ("seed", SeedModel, {"options": {"wildcat": {"alpha": 0.1}}}),
    ("seed", SeedModel, {"feature_attention": {"options": {"adl": {"drop_rate": 0.1}}}}),
    ("segment", SegmentModel, {"options": {"sec": {"decay_tags": 0.5}}}),
    ("segment", SegmentModel, {"supervision": ["full"]}),
]


@pytest.mark.parametrize("name, model, changes", UNCHOSEN)
def test_options_of_another_choice_do_not_change_a_resume_key(params, name, model, changes):
    before = fingerprint(section(params, name, model))
    lay_over(params[name], changes)
    assert fingerprint(section(params, name, model)) == before


def test_a_choice_and_its_options_change_the_resume_key(params):
    before = fingerprint(section(params, "seed", SeedModel))
    params["seed"]["pooling"] = "wildcat"
    chosen = fingerprint(section(params, "seed", SeedModel))
    params["seed"]["options"]["wildcat"]["alpha"] = 0.1
    assert len({before, chosen, fingerprint(section(params, "seed", SeedModel))}) == 3
