"""Every variant runs in the chain: its stages, in this process, on a tiny generated set.

Where a variant is the default it makes the default's bytes again, and else others.
"""

import math

import numpy as np
import pytest

from pipeline.core import formats
from pipeline.core.arrays import VOID
from pipeline.core.layout import Layout
from pipeline.core.samples import read_samples
from pipeline.core.supervision import ROUNDS, SUPERVISIONS
from pipeline.guide import rules
from pipeline.params import load_params
from pipeline.seeds.classifier import HIDDEN, LOSSES
from pipeline.seeds.gradients import KINDS
from pipeline.seeds.pooling import POOLING_OPTIONS
from pipeline.segment.deeplab import HEADS

SEED = ["train_seed", "seed", "evaluate_seed"]
GUIDE = ["fuse", "diffuse", "evaluate_guide"]
SEGMENT = ["train_segment guide", "predict guide", "refine guide", "evaluate_segment"]
VGG = {"weights": "none", "train": {"frozen_stages": 0, "epochs": 0.5, "batch": 8}}
SIZE_PX = 64
IMAGES = {"train": 24, "val": 8}


def as_before(project, finished, folder):
    """Whether a folder holds what the default params made."""
    now, before = (formats.digest(p.root / folder) for p in (project, finished))
    return now == before


def check_losses(model, epochs):
    """A loss for every epoch, the last below the first."""
    rows = formats.read_table(model / "loss.tsv", columns=("epoch", "loss"), sep="\t")
    losses = [float(r["loss"]) for r in rows]
    assert len(losses) == math.ceil(epochs) and np.isfinite(losses).all()
    assert len(losses) == 1 or losses[-1] < losses[0]


def check_maps(layout, side):
    """Of every tag of every image, `side` positions wide and high."""
    samples = read_samples(layout.samples)
    assert len(samples) == sum(IMAGES.values())
    for sample in samples:
        maps, tags = formats.read_maps(layout.maps / f"{sample.id}.npz")
        assert maps.shape == (len(sample.tags), side, side) and len(tags) == len(sample.tags)
        assert np.isfinite(maps).all() and (maps >= 0).all()


def check_labels(layout, supervision):
    """Of every image it is made of, the image's tags alone; whether any pixel is void."""
    folder, classes, void = layout.labels(supervision), formats.read_json(layout.classes), False
    samples = {s.id: s for s in read_samples(layout.samples)}
    ids = {path.stem for path in folder.iterdir()}
    assert {key for key, s in samples.items() if s.split == "train"} <= ids <= set(samples)
    for key in ids:
        found = set(np.unique(formats.read_label(folder / f"{key}.png")).tolist())
        assert found <= {0, VOID} | {classes.index(t) + 1 for t in samples[key].tags}
        void |= VOID in found
    return void


SEEDS = {
    **{f"pooling {name}": {"pooling": name} for name in POOLING_OPTIONS},
    **{f"loss {name}": {"loss": name} for name in LOSSES},
    "balanced": {"balanced": True},
    "superpixels (GAP-ROI)": {"superpixels": 12},
    "stride 8": {"output_stride": 8},
    "stride 32": {"output_stride": 32},
    "GAP-LowRes": {"backbone": "vgg16", "hidden": "fc6", **VGG},
    "GAP-HighRes": {"backbone": "vgg16", "hidden": "fc6_fc7", "output_stride": 8, **VGG},
    "GAP-DeepLab": {"backbone": "vgg16_deeplab", "hidden": "largefov", "output_stride": 8, **VGG},
    **{f"maps {name}": {"maps": {"kind": name}} for name in KINDS},
}
DEFAULT = ("pooling gap", "loss sigmoid")
FINE = ("maps gradient", "maps guided_gradient", "superpixels (GAP-ROI)")  # a position per 4x4 px


@pytest.mark.slow
@pytest.mark.parametrize("name", SEEDS)
def test_seeds(project, finished, name):
    project.change({"seed": SEEDS[name]})
    project.stages(*(SEED if not name.startswith("maps") else SEED[1:]))
    layout, seed = Layout(), load_params(Layout().params).seed
    check_losses(layout.seed_model, seed.train.epochs)
    check_maps(layout, SIZE_PX // (4 if name in FINE else seed.output_stride))
    assert as_before(project, finished, "data/maps") == (name in DEFAULT)
    about = formats.read_json(layout.scores("seed"))["about"]
    assert about["images_scored"] == sum(IMAGES.values())


def test_every_hidden_choice_is_among_them():
    assert {c.get("hidden", "none") for c in SEEDS.values()} == set(HIDDEN)


GUIDES = {
    **{f"rule {name}": {"fuse": {"rule": name}} for name in rules.RULES},
    "ignore": {"fuse": {"unlabelled": "ignore"}},
    "unary neglog": {"diffuse": {"unary": "neglog"}},
    "crf seed": {"diffuse": {"crf": "seed"}},
    "crf none": {"diffuse": {"crf": "none"}},
    "thresholds": {"fuse": {"seed_threshold": 0.5, "saliency_threshold": 0.2}},
    "area limits": {"fuse": {"min_seed_area_px": 400, "min_saliency_fraction": 0.3}},
}


@pytest.mark.parametrize("name", GUIDES)
def test_guides(project, finished, name):
    project.change(GUIDES[name])
    project.stages(*GUIDE)
    assert check_labels(Layout(), "guide") == (name == "ignore")
    assert as_before(project, finished, "data/labels/guide") == (name == "rule g2")


@pytest.mark.parametrize("source", ["none", "classical", "oracle"])
def test_saliency(project, source):
    project.change({"saliency": {"source": source}})
    project.stages(f"saliency {source}", *GUIDE, "evaluate_saliency")
    found = formats.read_json(Layout().scores("saliency"))
    assert found["about"]["images_scored"] == sum(IMAGES.values())
    iou = found["saliency"]["train"]["IoU"]
    assert {"none": iou == 0, "oracle": iou == 100, "classical": 0 < iou < 100}[source]


def test_no_saliency_is_seeds_alone(project):
    project.change({"saliency": {"source": "none"}})
    project.stages("saliency none", *GUIDE)
    found = formats.read_json(Layout().scores("guide"))
    assert found["guide"]["train"] == found["seeds"]["train"] | {
        name: found["guide"]["train"][name] for name in ("tags_found", "untagged")
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
    **{f"head {name}": {"head": name} for name in HEADS},
    "head v1 on VGG-16": {
        "head": "v1", "backbone": "vgg16_deeplab", "output_stride": 8, "loss_stride": 8, **VGG,
    },
    "resnet50": {"backbone": "resnet50", **VGG},
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", SEGMENTERS)
def test_segmenters(project, finished, name):
    project.change({"segment": SEGMENTERS[name]})
    project.stages(*SEGMENT)
    layout, segment = Layout(), load_params(Layout().params).segment
    check_losses(layout.segmenter("guide"), segment.train.epochs)
    side = SIZE_PX // (8 if segment.head == "v3plus" else segment.output_stride)
    paths = list(layout.logits("guide").iterdir())
    assert len(paths) == IMAGES["val"]
    for path in paths:
        logits = formats.read_logits(path)
        assert logits.shape == (1 + 5, side, side) and np.isfinite(logits).all()
    assert as_before(project, finished, "data/logits") == (name == "head v3plus")
    found = formats.read_json(layout.scores("segment"))
    assert {"segmenter_guide", "refined_guide"} <= set(found)


def test_no_crf_after_the_segmenter_is_the_plain_segmenter(project):
    project.change({"refine": {"crf": "none"}})
    project.stages("refine guide", "evaluate_segment")
    found = formats.read_json(Layout().scores("segment"))
    agreement = {"tags_found", "untagged"}  # with the tags; the last link's alone
    for scores in found["refined_guide"].values():
        assert agreement <= scores.keys()
        for name in agreement:
            del scores[name]
    assert found["refined_guide"] == found["segmenter_guide"]


OTHERS = {"full": ["full"], "oracle": ["oracle"], "seed": ["seed"], "rounds": [*ROUNDS]}


@pytest.mark.slow
@pytest.mark.parametrize("chosen", OTHERS.values(), ids=OTHERS)
def test_supervisions(project, chosen):
    loss = "sec" if chosen == ["seed"] else "cross_entropy"
    with_guide = ["guide", *chosen] if chosen == OTHERS["rounds"] else chosen
    train = {"epochs": 3}
    project.change({"segment": {"supervision": with_guide, "loss": loss, "train": train}})
    if chosen == ["oracle"]:
        project.stages("saliency oracle")
    for name in chosen:
        if name != "full":
            project.stages(f"relabel {name}")
        project.stages(*(s.replace("guide", name) for s in SEGMENT[:3]))
        check_losses(Layout().segmenter(name), 3)
    project.stages("evaluate_segment")
    found = formats.read_json(Layout().scores("segment"))
    assert {f"refined_{name}" for name in with_guide} == {k for k in found if "refined" in k}
    for name in chosen:
        check_labels(Layout(), name)
    if "guide" not in with_guide:  # a round's labels may equal the guide's: its network is poor
        labels = [formats.digest(Layout().labels(name)) for name in ("guide", *chosen)]
        assert labels[0] != labels[1]


def test_every_supervision_is_among_them():
    assert {"guide", *(s for each in OTHERS.values() for s in each)} == set(SUPERVISIONS)
