"""Every variant runs: its stages, in this process, on a tiny generated set.

The default variants make the same bytes as the finished project, all others make other bytes.
"""

import math

import numpy as np
import pytest

from pipeline.core import formats
from pipeline.core.arrays import VOID
from pipeline.core.layout import Layout
from pipeline.core.params import read_yaml
from pipeline.core.samples import read_samples
from pipeline.core.supervision import BOX_ROUNDS, BOXES, MASKS, ROUNDS, SUPERVISIONS
from pipeline.guide import rules
from pipeline.params import load_params
from pipeline.pretext.tasks import TASKS
from pipeline.seeds.classifier import HIDDEN, LOSSES
from pipeline.seeds.feature_attention import FEATURE_ATTENTIONS
from pipeline.seeds.gradients import KINDS
from pipeline.seeds.pooling import POOLING_OPTIONS
from pipeline.segment.deeplab import HEADS
from tests.conftest import SOAK

SEED = ["train_seed", "seed", "evaluate_seed"]
GUIDE = ["fuse", "diffuse", "evaluate_guide"]
SEGMENT = ["train_segment guide", "predict guide", "refine guide", "evaluate_segment"]
VGG = {"weights": "none", "train": {"frozen_stages": 0, "epochs": 0.5, "batch": 8}}
SIZE_PX = 64
IMAGES = {"train": 24, "val": 8}


def is_default(project, finished, folder):
    """Whether a folder holds what the default params made."""
    digest, default = (formats.digest(p.root / folder) for p in (project, finished))
    return digest == default


def check_losses(model, epochs):
    """Every epoch has a loss, and the last loss is below the first."""
    rows = formats.read_table(model / "loss.tsv", columns=("epoch", "loss"), sep="\t")
    losses = [float(r["loss"]) for r in rows]
    assert len(losses) == math.ceil(epochs) and np.isfinite(losses).all()
    assert len(losses) == 1 or losses[-1] < losses[0]


def check_maps(layout, side):
    """Every image has a map of each of its tags, `side` positions wide and high."""
    samples = read_samples(layout.samples)
    assert len(samples) == sum(IMAGES.values())
    for sample in samples:
        maps, tags = formats.read_maps(layout.maps / f"{sample.id}.npz")
        assert maps.shape == (len(sample.tags), side, side) and len(tags) == len(sample.tags)
        assert np.isfinite(maps).all() and (maps >= 0).all()


def check_labels(layout, supervision):
    """Labels hold only the tags of their image. Return whether any pixel is void."""
    folder, classes, void = layout.labels(supervision), formats.read_json(layout.classes), False
    samples = {s.id: s for s in read_samples(layout.samples)}
    ids = {path.stem for path in folder.iterdir()}
    assert {key for key, s in samples.items() if s.split == "train"} <= ids <= set(samples)
    for key in ids:
        labels = set(np.unique(formats.read_label(folder / f"{key}.png")).tolist())
        assert labels <= {0, VOID} | {classes.index(t) + 1 for t in samples[key].tags}
        void |= VOID in labels
    return void


SEEDS = {
    **{f"pooling {name}": {"pooling": name} for name in POOLING_OPTIONS},
    **{f"loss {name}": {"loss": name} for name in LOSSES},
    **{f"feature attention {n}": {"feature_attention": {"kind": n}} for n in FEATURE_ATTENTIONS},
    "balanced": {"balanced": True},
    "superpixels (GAP-ROI)": {"superpixels": 12},
    "stride 8": {"output_stride": 8},
    "stride 32": {"output_stride": 32},
    "GAP-LowRes": {"backbone": "vgg16", "hidden": "fc6", **VGG},
    "GAP-HighRes": {"backbone": "vgg16", "hidden": "fc6_fc7", "output_stride": 8, **VGG},
    "GAP-DeepLab": {"backbone": "vgg16_deeplab", "hidden": "largefov", "output_stride": 8, **VGG},
    **{f"maps {name}": {"maps": {"kind": name}} for name in KINDS},
}
DEFAULT = ("pooling gap", "loss sigmoid", "feature attention none")  # the finished project's
# Functions of the maps or scores that their own tests compute by hand, and another stride.
SEEDS_SOAK = (
    *(f"pooling {n}" for n in ("gmp", "max_min", "weldon", "log_sum_exp", "soft_max_min")),
    "stride 32",
)
# These maps have stride 4.
FINE = ("maps gradient", "maps guided_gradient", "superpixels (GAP-ROI)")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=SOAK if n in SEEDS_SOAK else pytest.mark.slow)
        for n in SEEDS
        if n not in DEFAULT
    ],
)
def test_seeds(project, finished, name):
    project.change({"seed": SEEDS[name]})
    project.stages(*(SEED if not name.startswith("maps") else SEED[1:]))
    layout, seed = Layout(), load_params(Layout().params).seed
    check_losses(layout.seed_model, seed.train.epochs)
    check_maps(layout, SIZE_PX // (4 if name in FINE else seed.output_stride))
    assert not is_default(project, finished, "data/maps")
    record = formats.read_json(layout.scores("seed"))["about"]
    assert record["images_scored"] == sum(IMAGES.values())


def test_the_finished_project_has_the_default_seeds(project):
    before = load_params(Layout().params)
    for name in DEFAULT:
        project.change({"seed": SEEDS[name]})
    assert load_params(Layout().params) == before
    check_losses(Layout().seed_model, before.seed.train.epochs)
    check_maps(Layout(), SIZE_PX // before.seed.output_stride)


def test_seeds_cover_every_hidden_layer():
    assert {c.get("hidden", "none") for c in SEEDS.values()} == set(HIDDEN)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_pretext(project, finished, task):
    """Both trunks start from the weights of the task."""
    used = {"weights": "pretext", "train": {"epochs": 2}}
    project.change({"pretext": {"task": task, "train": {"epochs": 2}}, "seed": used})
    project.change({"segment": used})
    project.stages(f"pretext {task}", *SEED[:2], *GUIDE[:2], SEGMENT[0])
    layout = Layout()
    for model in (layout.pretext(task), layout.seed_model, layout.segmenter("guide")):
        check_losses(model, 2)
    check_maps(layout, SIZE_PX // 16)
    for folder in ("data/models/seed", "data/models/segment/guide", "data/maps"):
        assert not is_default(project, finished, folder)


GUIDES = {
    **{f"rule {name}": {"fuse": {"rule": name}} for name in rules.RULES if name != "g1"},
    "rule g1": {"fuse": {"rule": "g1", "evidence": "component_scores"}},
    "ignore": {"fuse": {"unlabelled": "ignore"}},
    "graph cut": {"fuse": {"seed_rule": "graph_cut"}},
    "unary neglog": {"diffuse": {"unary": "neglog"}},
    "shrink": {"diffuse": {"shrink": 2}},
    "crf seed": {"diffuse": {"crf": "seed"}},
    "crf none": {"diffuse": {"crf": "none"}},
    "thresholds": {"fuse": {"seed_threshold": 0.5, "saliency_threshold": 0.2}},
    "area limits": {"fuse": {"min_seed_area_px": 2000, "min_saliency_fraction": 0.8}},
}


@pytest.mark.parametrize("name", GUIDES)
def test_guides(project, finished, name):
    project.change(GUIDES[name])
    project.stages(*(["component_scores"] if name == "rule g1" else []), *GUIDE)
    assert check_labels(Layout(), "guide") == (name == "ignore")
    assert is_default(project, finished, "data/labels/guide") == (name == "rule g2")


@pytest.mark.parametrize("source", ["none", "classical", "oracle"])
def test_saliency(project, source):
    project.change({"saliency": {"source": source}})
    project.stages(f"saliency {source}", *GUIDE, "evaluate_saliency")
    scores = formats.read_json(Layout().scores("saliency"))
    assert scores["about"]["images_scored"] == sum(IMAGES.values())
    iou = scores["saliency"]["train"]["IoU"]
    assert {"none": iou == 0, "oracle": iou == 100, "classical": 0 < iou < 100}[source]


def test_without_saliency_the_guide_labels_are_the_seeds(project):
    project.change({"saliency": {"source": "none"}})
    project.stages("saliency none", *GUIDE)
    scores = formats.read_json(Layout().scores("guide"))
    assert scores["guide"]["train"] == scores["seeds"]["train"] | {
        name: scores["guide"]["train"][name] for name in ("tags_found", "untagged")
    }


def test_labels_from_class_maps_of_predicted_tags_are_made_only_when_named(project):
    assert project.repro("optional/dvc.yaml:evaluate_maps") == [
        "optional/dvc.yaml:predict_maps", "optional/dvc.yaml:evaluate_maps",
    ]  # fmt: skip
    assert project.repro() == []
    layout = Layout()
    ids = {path.stem for path in layout.map_labels.iterdir()}
    assert ids == {s.id for s in read_samples(layout.samples) if s.split == "val"}
    found = formats.read_json(layout.scores("maps"))
    assert set(found) == {"map_labels", "about"} and set(found["map_labels"]) == {"val"}
    said = project.here("cli.py", "run", "evaluate_maps").stdout
    assert "class maps of predicted tags + CRF" in said
    project.change({"refine": {"crf": "none"}})  # the only stage of these two that reads it
    assert project.repro("optional/dvc.yaml:evaluate_maps")[0] == "optional/dvc.yaml:predict_maps"


SEGMENTERS = {
    **{f"head {name}": {"head": name} for name in HEADS if name != "v3plus"},  # the default
    "head v1 on VGG-16": {
        "head": "v1", "backbone": "vgg16_deeplab", "output_stride": 8, "loss_stride": 8, **VGG,
    },
    "resnet50": {"backbone": "resnet50", **VGG},
}  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=SOAK if n == "head v1" else pytest.mark.slow) for n in SEGMENTERS],
)
def test_segmenters(project, finished, name):
    project.change({"segment": SEGMENTERS[name]})
    project.stages(*SEGMENT)
    layout, segment = Layout(), load_params(Layout().params).segment
    check_losses(layout.segmenter("guide"), segment.train.epochs)
    finest = min(8, segment.output_stride // 2)
    side = SIZE_PX // (finest if segment.head == "v3plus" else segment.output_stride)
    paths = list(layout.logits("guide").iterdir())
    assert len(paths) == IMAGES["val"]
    for path in paths:
        logits = formats.read_logits(path)
        assert logits.shape == (1 + 5, side, side) and np.isfinite(logits).all()
    assert not is_default(project, finished, "data/logits")
    scores = formats.read_json(layout.scores("segment"))
    assert {"segmenter_guide", "refined_guide"} <= set(scores)


def test_without_a_crf_refined_masks_score_as_those_of_the_segmenter(project):
    project.change({"refine": {"crf": "none"}})
    project.stages("refine guide", "evaluate_segment")
    found = formats.read_json(Layout().scores("segment"))
    for scores in found["segmenter_guide"].values():
        assert 0 <= scores.pop("ECE") <= 100  # of the logits, so the first link's alone
    agreement = {"tags_found", "untagged"}  # with the tags; the last link's alone
    for scores in found["refined_guide"].values():
        assert agreement <= scores.keys()
        for name in agreement:
            del scores[name]
    # The stored logits are rounded to float16, so a pixel at a border may change its label.
    for split, scores in found["segmenter_guide"].items():
        assert found["refined_guide"][split] == pytest.approx(scores, abs=0.05)


SUPERVISED = {"oracle": ["oracle"], "seed": ["seed"], "rounds": [*ROUNDS]}
BOXED = {kind: [kind, f"{kind}_round2", f"{kind}_round3"] for kind in BOXES}


@pytest.mark.parametrize("chosen", [
    pytest.param(SUPERVISED["oracle"], marks=pytest.mark.slow, id="oracle"),
    pytest.param(SUPERVISED["seed"], marks=pytest.mark.slow, id="seed"),
    pytest.param(SUPERVISED["rounds"][:2], marks=pytest.mark.slow, id="rounds"),
    pytest.param(SUPERVISED["rounds"], marks=SOAK, id="all rounds"),
])  # fmt: skip
def test_supervisions(project, chosen):
    loss = "sec" if chosen == ["seed"] else "cross_entropy"
    with_guide = ["guide", *chosen] if chosen[0] in ROUNDS else chosen
    train = {"epochs": 3}
    project.change({"segment": {"supervision": with_guide, "loss": loss, "train": train}})
    if chosen == ["oracle"]:
        project.stages("saliency oracle")
    for name in chosen:
        stage = "relabel_round" if name in ROUNDS else "relabel"
        project.stages(f"{stage} {name}", *(s.replace("guide", name) for s in SEGMENT[:3]))
        check_losses(Layout().segmenter(name), 3)
        project.stages(f"score_labels {name}")
    project.stages("evaluate_segment", "report")
    scores = formats.read_json(Layout().scores("segment"))
    assert {f"refined_{name}" for name in with_guide} == {k for k in scores if "refined" in k}
    for name in chosen:
        check_labels(Layout(), name)
    if "guide" not in with_guide:  # the labels of a round may equal the guide labels
        labels = [formats.digest(Layout().labels(name)) for name in ("guide", *chosen)]
        assert labels[0] != labels[1]
    name = {"oracle": "oracle guides", "seed": "seed cues", "round2": "round 2"}[chosen[0]]
    assert f"segmenter + CRF, {name}" in project.here("cli.py", "scores").stdout


@pytest.mark.parametrize("chosen", [
    pytest.param(BOXED["box"], marks=pytest.mark.slow, id="box"),
    pytest.param(BOXED["box_i"][:1], marks=pytest.mark.slow, id="box_i"),
    pytest.param(BOXED["grabcut_plus"][:2], marks=pytest.mark.slow, id="grabcut_plus"),
    *(pytest.param(BOXED[kind], marks=SOAK, id=f"{kind}, all rounds")
      for kind in ("box_i", "grabcut_plus")),
])  # fmt: skip
def test_supervisions_by_boxes(project, chosen):
    project.change({"segment": {"supervision": chosen, "train": {"epochs": 3}}})
    for name in chosen:
        stage = "relabel_boxes_round" if name in BOX_ROUNDS else "relabel_boxes"
        project.stages(f"{stage} {name}", *(s.replace("guide", name) for s in SEGMENT[:3]))
        check_losses(Layout().segmenter(name), 3)
        assert check_labels(Layout(), name) or chosen[0] == "box"
        project.stages(f"score_labels {name}")
    project.stages("evaluate_segment")
    found = formats.read_json(Layout().scores("segment"))
    assert {f"refined_{name}" for name in chosen} == {k for k in found if "refined" in k}
    names = ("guide", *chosen[:2])
    assert len({formats.digest(Layout().labels(name)) for name in names}) == len(names)


def bring(layout, param, *, every):
    """Bring the true masks of every second, third, ... image."""
    folder = layout.root / read_yaml(layout.params)["brought"][param]
    for s in read_samples(layout.samples)[::every]:
        formats.write_label(
            folder / f"{s.id}.png", formats.read_label(layout.labels("full") / f"{s.id}.png")
        )


@pytest.mark.slow
def test_supervisions_by_brought_masks(project):
    layout, chosen = Layout(), ["guide", *MASKS]
    bring(layout, "path", every=2)
    bring(layout, "corrections", every=4)
    project.change({"segment": {"supervision": chosen, "train": {"epochs": 3}}})
    for name in MASKS:
        project.stages(f"relabel_brought {name}", *(s.replace("guide", name) for s in SEGMENT[:3]))
        check_losses(layout.segmenter(name), 3)
        project.stages(f"score_labels {name}")
    project.stages("evaluate_segment")
    found = formats.read_json(layout.scores("segment"))
    for name in MASKS:
        assert {"mIoU", "mIoU_minus_guide"} <= found[f"refined_{name}"]["val"].keys()
    labels = {name: found[f"labels_{name}"]["train"] for name in MASKS}
    guide = formats.read_json(layout.scores("guide"))["guide"]["train"]["mIoU"]
    assert labels["brought"]["mIoU"] == 100 > labels["corrected"]["mIoU"] > guide
    assert labels["corrected"]["mIoU_with_guide"] > labels["brought"]["mIoU_with_guide"]
    assert len(list(layout.labels("brought").iterdir())) == sum(IMAGES.values()) / 2
    assert check_labels(layout, "corrected")  # the masks that were brought hold void
    spec = formats.read_json(layout.segmenter("brought") / "net.json")
    assert spec["learned_from"] == found["about"]["learned_from"]["segmenter_brought"]
    assert spec["learned_from"] == "masks that the user brought"


def test_every_supervision_is_among_them():
    tested = [*SUPERVISED.values(), *BOXED.values(), MASKS, ["full"]]  # full: test_chain.py
    assert {"guide", *(s for each in tested for s in each)} == set(SUPERVISIONS)
