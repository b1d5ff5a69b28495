"""The preset of the paper holds the numbers of the released system, whatever the demo's params are.

Source: the release of Oh et al., CVPR 2017 (coallaoh/GuidedLabelling). docs/paper.md lists what
differs.
"""

import pytest

from pipeline.core.params import lay_over, read_yaml, validate
from pipeline.params import Params
from tests.contracts.imports import ROOT

IMAGES, BATCH, ITERATIONS = 10_582, 15, 8_000  # of train_aug


@pytest.fixture(scope="module")
def paper():
    """The params of the preset, over demo params in which everything has another value."""
    base = read_yaml(ROOT / "presets/shapes.yaml")
    other = {"balanced": True, "superpixels": 99, "loss": "soft_margin", "pooling": "gmp",
             "feature_attention": {"kind": "adl"}}  # fmt: skip
    lay_over(base, {
        "seed": other,
        "saliency": {"source": "onnx"},
        "fuse": {"rule": "seeds_only", "evidence": "component_scores", "seed_rule": "graph_cut",
                 "unlabelled": "ignore", "seed_threshold": 0.9, "saliency_threshold": 0.9,
                 "min_seed_area_px": 9, "min_saliency_fraction": 0.9},
        "diffuse": {"blur_sigma_px": 9, "unary": "neglog", "crf": "none", "shrink": 2},
        "refine": {"crf": "none"},
        "segment": {"loss": "sec", "supervision": ["full"]},
        "crf": {"deeplab": {"iterations": 1, "bilateral_w": 9, "smooth_w": 9}},
    })  # fmt: skip
    lay_over(base, read_yaml(ROOT / "presets/voc2012_paper.yaml"))
    return validate(Params, base, where="voc2012_paper.yaml")


def test_the_solver_is_that_of_the_release(paper):
    for train in (paper.seed.train, paper.segment.train):
        assert (train.batch, train.size_px) == (BATCH, 320)  # 321 px in the release
        assert round(train.epochs * (IMAGES // BATCH)) == ITERATIONS
        assert (train.optimizer, train.lr, train.weight_decay) == ("sgd", 1e-3, 5e-4)
        assert (train.schedule, train.head_lr_factor) == ("step", 10)
        assert (train.jitter, train.frozen_stages) == (0, 0)


def test_views_have_the_sizes_of_the_release(paper):
    """Its seeder trims each of the four sides by up to 10 %: a zoom of 1 to 1 / 0.8."""
    assert paper.seed.train.scale == (1, 1.25)
    low, high = paper.segment.train.scale
    assert low * paper.segment.train.size_px == high * paper.segment.train.size_px == 500
    assert paper.segment.predict.size_px == "native"
    for infer in (paper.seed.maps, paper.segment.predict):
        assert infer.scales == (1,) and not infer.flip


def test_seeds_guide_labels_and_crf_are_those_of_the_release(paper):
    seed, fuse, diffuse = paper.seed, paper.fuse, paper.diffuse
    assert (seed.backbone, seed.output_stride, seed.hidden) == ("vgg16", 8, "fc6_fc7")
    assert (seed.pooling, seed.loss, seed.maps.kind) == ("gap", "sigmoid", "class_maps")
    assert (seed.feature_attention.kind, seed.maps.size_px) == ("none", 320)
    assert (fuse.evidence, fuse.seed_rule, paper.saliency.source) == ("maps", "threshold", "net")
    assert not seed.balanced and not seed.superpixels
    assert (fuse.rule, fuse.unlabelled) == ("g2", "background")
    assert (fuse.seed_threshold, fuse.saliency_threshold) == (0.2, 0.5)
    assert (fuse.min_seed_area_px, fuse.min_saliency_fraction) == (25, 0.01)
    assert (diffuse.blur_sigma_px, diffuse.unary, diffuse.crf) == (10, "linear", "deeplab")
    assert diffuse.shrink == 1
    crf = paper.crf[paper.refine.crf]
    assert (crf.iterations, crf.smooth_w, crf.smooth_sxy) == (10, 3, 3)
    assert (crf.bilateral_w, crf.bilateral_sxy, crf.bilateral_srgb) == (4, 121, 5)


def test_the_segmenter_is_deeplab_v1(paper):
    segment = paper.segment
    assert list(segment.supervision) == ["guide"]
    assert (segment.backbone, segment.head, segment.output_stride) == ("vgg16_deeplab", "v1", 8)
    assert (segment.loss, segment.loss_stride, segment.weights) == ("cross_entropy", 8, "imagenet")
