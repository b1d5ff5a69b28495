"""Every variant runs in the chain: its stages, in this process, on a tiny generated set."""

import numpy as np
import pytest

from pipeline import blocks, choices, formats, guide
from pipeline.classifier import HIDDEN, LOSSES
from pipeline.deeplab import HEADS
from pipeline.gradients import KINDS
from pipeline.layout import Layout
from tests.conftest import run_stages

SEED = ["train_seed", "seed", "evaluate_seed"]
GUIDE = ["fuse", "diffuse", "evaluate_guide"]
SEGMENT = ["train_segment guide", "predict guide", "refine guide", "evaluate_segment"]
VGG = {"weights": "none", "train": {"frozen_stages": 0, "epochs": 0.5, "batch": 8}}


def check_maps(layout):
    for sample in formats.read_samples(layout.samples):
        maps, tags = formats.read_maps(layout.maps / f"{sample.id}.npz")
        assert len(maps) == len(tags) == len(sample.tags)
        assert np.isfinite(maps).all() and (maps >= 0).all()


SEEDS = {
    **{f"pooling {name}": {"pooling": name} for name in choices.POOLING_OPTIONS},
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


@pytest.mark.parametrize("changes", SEEDS.values(), ids=SEEDS)
def test_seeds(project, changes):
    project.change({"seed": changes})
    run_stages(*(SEED if set(changes) != {"maps"} else SEED[1:]))
    check_maps(Layout())
    assert 0 <= formats.read_json(Layout().scores("seed"))["maps"]["train"]["best_mIoU"] <= 100


def test_every_hidden_choice_is_among_them():
    assert {c.get("hidden", "none") for c in SEEDS.values()} == set(HIDDEN)


GUIDES = {
    **{f"rule {name}": {"fuse": {"rule": name}} for name in guide.RULES},
    "ignore": {"fuse": {"unlabelled": "ignore"}},
    "unary neglog": {"diffuse": {"unary": "neglog"}},
    "crf seed": {"diffuse": {"crf": "seed"}},
    "crf none": {"diffuse": {"crf": "none"}},
    "thresholds": {"fuse": {"seed_threshold": 0.5, "saliency_threshold": 0.2}},
    "area limits": {"fuse": {"min_seed_area_px": 1, "min_saliency_fraction": 0.1}},
}


@pytest.mark.parametrize("changes", GUIDES.values(), ids=GUIDES)
def test_guides(project, changes):
    project.change(changes)
    run_stages(*GUIDE)
    layout = Layout()
    classes, void = formats.read_json(layout.classes), set()
    for s in formats.read_samples(layout.samples):
        found = set(np.unique(formats.read_label(layout.labels("guide") / f"{s.id}.png")).tolist())
        void |= found & {255}
        assert found <= {0, 255} | {classes.index(t) + 1 for t in s.tags}
    assert bool(void) == (changes == GUIDES["ignore"])


@pytest.mark.parametrize("source", ["none", "classical", "oracle"])
def test_saliency(project, source):
    project.change({"saliency": {"source": source}})
    run_stages(f"saliency {source}", *GUIDE, "evaluate_saliency")
    found = formats.read_json(Layout().scores("saliency"))["saliency"]["train"]
    assert found["IoU"] == {"none": 0, "oracle": 100}.get(source, found["IoU"])


def test_no_saliency_is_seeds_alone(project):
    project.change({"saliency": {"source": "none"}})
    run_stages("saliency none", *GUIDE)
    found = formats.read_json(Layout().scores("guide"))
    assert found["guide"]["train"] == found["seeds"]["train"] | {
        name: found["guide"]["train"][name] for name in ("tags_found", "untagged")
    }


SEGMENTERS = {
    **{f"head {name}": {"head": name} for name in HEADS},
    "head v1 on VGG-16": {
        "head": "v1", "backbone": "vgg16_deeplab", "output_stride": 8, "loss_stride": 8, **VGG,
    },
    "resnet50": {"backbone": "resnet50", **VGG},
}  # fmt: skip


@pytest.mark.parametrize("changes", SEGMENTERS.values(), ids=SEGMENTERS)
def test_segmenters(project, changes):
    project.change({"segment": changes})
    run_stages("fuse", "diffuse", *SEGMENT)
    assert 0 <= formats.read_json(Layout().scores("segment"))["refined_guide"]["val"]["mIoU"] <= 100


def test_no_crf_after_the_segmenter_is_the_plain_segmenter(project):
    project.change({"refine": {"crf": "none"}})
    run_stages("refine guide", "evaluate_segment")
    found = formats.read_json(Layout().scores("segment"))
    agreement = {"tags_found", "untagged"}  # with the tags; the last link's alone
    for scores in found["refined_guide"].values():
        assert agreement <= scores.keys()
        for name in agreement:
            del scores[name]
    assert found["refined_guide"] == found["segmenter_guide"]


@pytest.mark.parametrize("supervision", [s for s in blocks.SUPERVISIONS if s != "guide"])
def test_supervisions(project, supervision):
    chosen = ["guide", "round2", "round3", "round4"]
    chosen = chosen[: chosen.index(supervision) + 1] if supervision in chosen else [supervision]
    loss = "sec" if supervision == "seed" else "cross_entropy"
    project.change({"segment": {"supervision": chosen, "loss": loss}})
    if supervision == "oracle":
        run_stages("saliency oracle")
    if supervision == "round2":
        run_stages("fuse", "diffuse", *SEGMENT[:1])
    if supervision != "full":
        run_stages(f"relabel {supervision}")
    run_stages(*(s.replace("guide", supervision) for s in SEGMENT[:3]), "evaluate_segment")
    assert f"refined_{supervision}" in formats.read_json(Layout().scores("segment"))
