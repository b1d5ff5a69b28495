"""Rule G2 case by case, and what holds for any input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.core.arrays import CONTESTED, VOID
from pipeline.core.errors import UserError
from pipeline.crf.config import Crf
from pipeline.guide import diffusion, rules
from pipeline.guide.config import Diffuse, Fuse

CRF = Crf(
    iterations=10, smooth_w=3, smooth_sxy=3, bilateral_w=4, bilateral_sxy=121, bilateral_srgb=5
)


def fuse(seed, salient, min_seed=0, min_fraction=0.0, rule="g2", tags=(1, 2, 3), **options):
    how = Fuse(
        rule=rule, evidence="maps", seed_rule="threshold", seed_threshold=0.2,
        saliency_threshold=0.5,
        min_seed_area_px=min_seed, min_saliency_fraction=min_fraction,
        **{"unlabelled": "background"} | options,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    return rules.fuse(np.array(seed, np.uint8), np.array(salient, bool), how, tags=tags, rng=rng)


CASES = {
    "no seed: saliency becomes background": ([[0, 0, 0, 0]], [[0, 1, 1, 0]], [[0, 0, 0, 0]]),
    "one class: all of the component": ([[0, 0, 2, 0]], [[0, 1, 1, 1]], [[0, 2, 2, 2]]),
    "two classes: contested": ([[1, 0, 2, 0]], [[1, 1, 1, 0]], [[CONTESTED] * 3 + [0]]),
    "a seed alone stays foreground": ([[3, 0, 0, 0]], [[0, 0, 1, 1]], [[3, 0, 0, 0]]),
    "a leak: the seed loses what lies outside": ([[1, 1, 1, 0]], [[0, 0, 1, 1]], [[0, 0, 1, 1]]),
    "two components, one class each": ([[1, 0, 0, 2]], [[1, 1, 0, 1]], [[1, 1, 0, 2]]),
    "diagonal pixels are one component": (
        [[1, 0], [0, 0]], [[1, 0], [0, 1]], [[1, 0], [0, 1]],
    ),
    "a diagonal seed component touches as a whole": (
        [[1, 0, 0], [0, 1, 0]], [[0, 0, 0], [0, 1, 1]], [[0, 0, 0], [0, 1, 1]],
    ),
    "the first two rows are nothing special": (
        [[1, 0], [0, 0]], [[1, 1], [0, 0]], [[1, 1], [0, 0]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("seed, salient, expected", CASES.values(), ids=CASES)
def test_case(seed, salient, expected):
    assert fuse(seed, salient).label_HW.tolist() == expected


def test_small_seed_is_dropped_and_limit_is_inclusive():
    seed = [[1, 1, 0, 2, 2, 2]]
    salient = [[1, 1, 1, 1, 1, 1]]
    assert fuse(seed, salient, min_seed=3).label_HW.tolist() == [[2] * 6]
    assert fuse(seed, salient, min_seed=2).label_HW.tolist() == [[CONTESTED] * 6]


def test_small_saliency_is_dropped_and_its_seed_stands_alone():
    seed, salient = np.zeros((10, 10)), np.zeros((10, 10))
    seed[0, 0] = 1
    salient[0, :2] = 1
    assert fuse(seed, salient, min_fraction=0.02).label_HW.sum() == 2
    kept = fuse(seed, salient, min_fraction=0.03).label_HW
    assert kept[0, 0] == 1 and kept.sum() == 1


@pytest.mark.parametrize("area_px", range(1, 101))
def test_saliency_of_exactly_the_limit_is_kept(area_px):
    """As floats, 0.07 * 100, 0.14 * 100 and others are above the whole number."""
    salient = np.zeros((10, 10), bool)
    salient.flat[:area_px] = True
    fraction = float(f"0.{area_px:02}") if area_px < 100 else 1.0
    assert rules.saliency_components(salient, min_fraction=fraction).max() == 1
    salient.flat[area_px - 1] = False
    assert rules.saliency_components(salient, min_fraction=fraction).max() == 0


def test_components_of_two_classes_are_counted_apart():
    seed = np.array([[1, 1, 2, 2]], np.uint8)
    assert rules.seed_components(seed, min_area_px=3).max() == 0
    assert rules.seed_components(seed, min_area_px=2).max() == 2


def test_oracle_saliency_with_one_class_is_the_object(rng):
    truth = np.zeros((20, 20), bool)
    truth[4:15, 3:12] = True
    seed = np.zeros((20, 20), np.uint8)
    seed[6, 6] = 5
    assert (fuse(seed, truth).label_HW == np.where(truth, 5, 0)).all()


labels = hnp.arrays(np.uint8, (9, 11), elements=st.integers(0, 3))
masks = hnp.arrays(np.bool_, (9, 11))


@settings(max_examples=60, deadline=None)
@given(labels, masks)
def test_labels_come_from_the_seeds(seed, salient):
    out = fuse(seed, salient, 2, 0.02).label_HW
    assert set(np.unique(out)) <= set(np.unique(seed)) | {0, CONTESTED}


@settings(max_examples=60, deadline=None)
@given(labels, masks)
def test_flip_commutes(seed, salient):
    plain = fuse(seed, salient, 2, 0.02).label_HW
    assert (fuse(seed[:, ::-1], salient[:, ::-1], 2, 0.02).label_HW == plain[:, ::-1]).all()


@settings(max_examples=60, deadline=None)
@given(labels, masks)
def test_equals_the_rule_written_plainly(seed, salient):
    """Pair by pair, as the release does it."""
    from skimage.measure import label as number

    expected = np.zeros_like(seed)
    regions = number(salient, connectivity=2)
    touched = np.zeros_like(salient)
    parts = [(c, m == i) for c in (1, 2, 3) for m in [number(seed == c, connectivity=2)]
             for i in range(1, m.max() + 1)]  # fmt: skip
    for r in range(1, regions.max() + 1):
        claims = {c for c, part in parts if (part & (regions == r)).any()}
        if claims:
            expected[regions == r] = claims.pop() if len(claims) == 1 else CONTESTED
    for c, part in parts:
        touched = (part & (regions > 0)).any()
        if not touched:
            expected[part] = c
    assert (fuse(seed, salient).label_HW == expected).all()


RULE_CASES = {
    # components: A holds 1 pixel of class 1 and 2 of class 2, B holds none; a lone seed 3
    "seed_majority": [[2, 2, 2, 2, 0, 0, 0, 0]],
    "g2": [[CONTESTED] * 4 + [0, 0, 0, 3]],
    "seeds_only": [[1, 2, 2, 0, 0, 0, 0, 3]],
}


@pytest.mark.parametrize("rule", RULE_CASES)
def test_rules_by_hand(rule):
    seed, salient = [[1, 2, 2, 0, 0, 0, 0, 3]], [[1, 1, 1, 1, 0, 1, 0, 0]]
    assert fuse(seed, salient, rule=rule).label_HW.tolist() == RULE_CASES[rule]


def test_g0_draws_one_tag_for_all_and_component_random_one_for_each():
    salient = np.zeros((1, 400), bool)
    salient[:, ::2] = True
    drawn = fuse(salient, salient, rule="component_random", tags=(4, 9)).label_HW
    assert set(np.unique(drawn[salient])) == {4, 9} and not drawn[~salient].any()
    assert 60 < (drawn == 4).sum() < 140
    one = fuse(salient, salient, rule="g0", tags=(4, 9)).label_HW
    assert len(np.unique(one[salient])) == 1 and one.max() in (4, 9)
    assert not fuse(salient, salient, rule="component_random", tags=()).label_HW.any()


def by_scores(salient, changes, tags=(4, 9), **options):
    """Labels of rule G1."""
    params = Fuse(
        rule="g1", evidence="component_scores", seed_rule="threshold", seed_threshold=0.2,
        saliency_threshold=0.5, min_seed_area_px=0,
        **{"unlabelled": "background", "min_saliency_fraction": 0} | options,
    )  # fmt: skip
    salient = np.array(salient, bool)
    return rules.fuse(
        np.zeros(salient.shape, np.uint8), salient, params, tags=tags, rng=None,
        changes_RK=np.array(changes, np.float32).reshape(-1, len(tags)),
    ).label_HW.tolist()  # fmt: skip


THREE = [[1, 1, 0, 1, 0, 1, 1, 1]]  # components


@pytest.mark.parametrize("changes, expected", [
    ([[1, 2], [2, 1], [-3, -2]], [9, 9, 0, 4, 0, 0, 0, 0]),  # the loss of a tag is no reason
    ([[0, 0], [-1, 0], [0.25, 0.25]], [0, 0, 0, 0, 0, 4, 4, 4]),  # no change; two equal ones
    ([[-9, 1e-3], [5, -9], [0, 1]], [9, 9, 0, 4, 0, 9, 9, 9]),  # in its favour, not by size
])  # fmt: skip
def test_g1_takes_the_tag_that_gains_most(changes, expected):
    assert by_scores(THREE, changes) == [expected]


def test_g1_has_a_row_for_each_component_that_reaches_the_area_limit():
    assert by_scores(THREE, [[0, 1], [1, 0]], min_saliency_fraction=0.25) == [
        [9, 9, 0, 0, 0, 4, 4, 4]
    ]


def test_g1_without_components_or_tags_is_background():
    assert by_scores([[0, 0]], []) == [[0, 0]]
    assert rules.g1(
        rules.Parts(None, None, np.array([[0, 1, 2]]), (), None, np.zeros((2, 0)))
    ).tolist() == [[0, 0, 0]]


def test_g1_voids_what_no_tag_gains_from_if_asked():
    assert by_scores([[1, 0, 1]], [[-1, -1], [1, 0]], unlabelled="ignore") == [[VOID, 0, 4]]


@pytest.mark.parametrize("rows", [2, 4])
def test_g1_names_the_stage_if_the_scores_are_of_other_components(rows):
    with pytest.raises(UserError, match=f"{rows} components .* has 3; run .*component_scores"):
        by_scores(THREE, [[1, 0]] * rows)


def test_ignore_voids_what_the_cues_disagree_on():
    # salient without a class (1, 2), a seed cut off outside saliency (5)
    seed, salient = [[0, 0, 0, 0, 0, 1, 1, 0]], [[0, 1, 1, 0, 0, 0, 1, 1]]
    out = fuse(seed, salient, unlabelled="ignore").label_HW
    assert out.tolist() == [[0, VOID, VOID, 0, 0, VOID, 1, 1]]


def how(sigma, unary="linear", shrink=1):
    return Diffuse(blur_sigma_px=sigma, unary=unary, crf="deeplab", shrink=shrink)


def test_without_a_crf_each_pixel_takes_the_nearer_seed():
    seed = np.zeros((1, 30), np.uint8)
    seed[0, 4], seed[0, 25] = 1, 2
    fused = fuse(seed, np.ones((1, 30)))
    none = CRF.model_copy(update={"iterations": 0})
    image = np.zeros((1, 30, 3), np.uint8)
    for unary in ("linear", "neglog"):
        out = diffusion.diffuse(image, fused, how(10, unary), none)
        assert out[0].tolist() == [1] * 15 + [2] * 15


@pytest.mark.parametrize("unary, shrink", [("linear", 1), ("neglog", 1), ("linear", 2)])
def test_diffuse_resolves_contested_by_the_nearer_seed_and_the_image(rng, unary, shrink):
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, :30], image[:, 30:] = (200, 40, 40), (40, 40, 200)
    seed = np.zeros((40, 60), np.uint8)
    seed[18:22, 8:14], seed[18:22, 46:52] = 1, 4
    fused = fuse(seed, np.ones((40, 60)))
    assert (fused.label_HW == CONTESTED).all()
    out = diffusion.diffuse(image, fused, how(10, unary, shrink), CRF)
    assert (out[:, :30] == 1).mean() > 0.95 and (out[:, 30:] == 4).mean() > 0.95
    assert CONTESTED not in out


def test_diffuse_leaves_settled_pixels_alone(rng):
    image = rng.integers(0, 255, (12, 20, 3), dtype=np.uint8)
    seed = np.zeros((12, 20), np.uint8)
    seed[2, 2], seed[2, 4], seed[8, 18] = 1, 2, 3
    salient = np.zeros((12, 20))
    salient[:6, :8] = 1
    fused = fuse(seed, salient)
    out = diffusion.diffuse(image, fused, how(2), CRF)
    settled = fused.label_HW != CONTESTED
    assert (out[settled] == fused.label_HW[settled]).all()
    assert set(np.unique(out[~settled])) <= {1, 2}


def test_diffuse_asks_the_crf_once_for_the_same_classes(rng, monkeypatch):
    image = rng.integers(0, 255, (12, 40, 3), dtype=np.uint8)
    seed, salient = np.zeros((12, 40), np.uint8), np.zeros((12, 40))
    seed[2, 2], seed[2, 6], seed[2, 22], seed[2, 26] = 1, 2, 2, 1
    salient[:6, :10] = salient[:6, 18:30] = 1
    fused, calls, whole = fuse(seed, salient), [], diffusion.dense_crf
    monkeypatch.setattr(diffusion, "dense_crf", lambda *args: calls.append(1) or whole(*args))
    both = diffusion.diffuse(image, fused, how(2), CRF)
    assert len(calls) == 1
    for part in (np.s_[:, :14], np.s_[:, 14:]):  # each component as if it were the only contested
        label = np.zeros_like(fused.label_HW)
        label[part] = fused.label_HW[part]
        alone = diffusion.diffuse(image, rules.Fused(fused.seeds_HW, label), how(2), CRF)
        assert (both[part] == alone[part]).all()
