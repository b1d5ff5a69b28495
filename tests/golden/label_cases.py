"""Fused labels and guide labels under every rule, rules that draw a tag, and exact thresholds.

Checked: the boards of `compute_fused` and the cues by eye, against the rules' text: their pictures
stand in the values. `test_independent` recomputes G2 pair by pair with scikit-image's components,
and the CRF inside contested components with `independent.lattice_kernel`.
"""

from typing import Any

import numpy as np

from pipeline.guide import diffusion, labels, rules, seed_rule
from pipeline.guide.config import Diffuse, Fuse
from pipeline.scores.saliency import saliency_scores
from tests.golden import crf_cases, pictures
from tests.golden.pictures import Float, UInt8

# name -> seeds, saliency
BOARDS = {
    "no class": ("0" * 12, "..####......"),
    "one class": (".....2......", "..#####....."),
    "two classes": ("..1...2.....", "..#####....."),
    "touching and lone seeds": ("1....2..3..3", ".######....."),
    "isolated seed": ("111.......22", ".......####."),
    "leak": ("111111......", "....#####..."),
    "two components, one class each": ("..1.....2...", ".###..####.."),
    "corners touch without overlap": ("1.. .1. ...", "... ... ..#"),
    "seed joined by a corner": ("1.. .1. ...", "... .## ..."),
    "saliency joined by a corner": ("1... .... ..2. ....", "#... .#.. .... ...#"),
    "component without a seed": (".1.1........", "####.######."),
}
LIMITS = """
1111......
..........
.222......
..........
..........
......3333
..........
..........
..........
..........
"""
SALIENT = """
#####.....
..........
..........
..........
######....
......#...
.........#
.........#
......####
..........
"""


def rule_of(name: str, **changes: Any) -> Fuse:
    """Section `fuse` with no area limit, but for `changes`."""
    values = {
        "rule": name, "unlabelled": "background", "seed_rule": "threshold",
        "seed_threshold": 0.25,
        "saliency_threshold": 0.5, "min_seed_area_px": 0, "min_saliency_fraction": 0,
    }  # fmt: skip
    return Fuse.model_validate(values | changes)


def settle(name: str, seeds: UInt8, salient: UInt8, **changes: Any) -> dict[str, UInt8]:
    """What a rule makes of a board: fused labels with both values of `unlabelled`."""
    found = {}
    for unlabelled in ("background", "ignore"):
        how = rule_of(name, unlabelled=unlabelled, **changes)
        rng = np.random.default_rng([0, 7])
        fused = rules.fuse(seeds, salient > 0, how, tags=(1, 2, 3), rng=rng)
        found[unlabelled] = fused.label_HW
    return found | {"seeds": fused.seeds_HW}


def compute_fused() -> dict[str, Any]:
    """By rule: every board, and LIMITS with both limits met exactly and with each just missed.

    LIMITS holds seeds of 4, 3 and 4 px; SALIENT holds components of 5, 7 and 6 px of 100.
    """
    out: dict[str, Any] = {}
    limits = {"limits met": (4, 0.06), "seed limit": (5, 0.06), "saliency limit": (4, 0.065)}
    boards = {k: tuple(map(pictures.board, v)) for k, v in BOARDS.items()}
    for rule in rules.RULES:
        out[rule] = {name: settle(rule, *both) for name, both in boards.items()}
        for name, (seed_px, fraction) in limits.items():
            both = pictures.board(LIMITS), pictures.board(SALIENT)
            changes = {"min_seed_area_px": seed_px, "min_saliency_fraction": fraction}
            out[rule][name] = settle(rule, *both, **changes)
    return out


def contested(name: str) -> tuple[UInt8, rules.Fused, Diffuse]:
    """A 24x32 px image all of which two classes contest; where their seeds lie; section `diffuse`.

    The images were searched for: `linear` and `neglog`, ten and five iterations, and a clip of 0.2
    in place of 1e-3 each label many pixels differently, and no pixel's marginals nearly tie.
    """
    turn, past, noise, first, second, sigma_px, crf = {
        "deeplab": (22, 3, 20, (6, 17), (3, 25), 3, "deeplab"),
        "seed": (9, -1, 40, (16, 25), (5, 3), 10, "seed"),
    }[name]
    y, x = np.mgrid[:24, :32]
    shade = ((x - 16) * np.cos(turn) + (y - 12) * np.sin(turn) > past).astype(np.uint8)
    image = pictures.painted(shade, noise=noise, contrast=0.3, seed=turn)
    seeds = np.zeros(shade.shape, np.uint8)
    seeds[first[0] : first[0] + 3, first[1] : first[1] + 4] = 1
    seeds[second[0] : second[0] + 4, second[1] : second[1] + 5] = 2
    fused = rules.fuse(seeds, seeds < 9, rule_of("g2"), tags=(1, 2), rng=np.random.default_rng(0))
    return image, fused, Diffuse(blur_sigma_px=sigma_px, unary="linear", crf=crf)


def guide_labels(name: str, unary: str) -> UInt8:
    """Guide labels of `contested`."""
    image, fused, how = contested(name)
    how = how.model_copy(update={"unary": unary})
    return diffusion.diffuse(image, fused, how, crf_cases.sets()[how.crf])


def compute_guide() -> dict[str, Any]:
    """Both unaries and, of a board with two contested components, the others left alone."""
    found = {
        name: {unary: guide_labels(name, unary) for unary in ("linear", "neglog")}
        for name in ("deeplab", "seed")
    }
    seeds, salient = np.zeros((12, 16), np.uint8), np.zeros((12, 16), bool)
    seeds[2, 2], seeds[2, 6], seeds[9, 3], seeds[9, 9], seeds[4, 14] = 1, 2, 3, 1, 2
    salient[1:5, 1:8] = salient[7:11, 2:11] = salient[:6, 13:15] = True
    fused = rules.fuse(seeds, salient, rule_of("g2"), tags=(1, 2, 3), rng=np.random.default_rng(0))
    how = Diffuse(blur_sigma_px=2, unary="linear", crf="deeplab")
    image = pictures.two_tone()[0]
    both = diffusion.diffuse(image, fused, how, crf_cases.sets()["deeplab"])
    return found | {"two contested": {"fused": fused.label_HW, "guide": both}}


def one_map(values: Float) -> tuple[Float, UInt8]:
    """Class maps (1, h, w) of tag 1, and that tag."""
    return np.array(values, np.float32)[None], np.array([1], np.uint8)


def compute_thresholds() -> dict[str, Any]:
    """Values in eighths and a threshold of 0.25, so that a pixel meets it exactly.

    By hand: maximum 1, so `>=` takes the third pixel of (0, 0.125, 0.25, 0.375, 1) and `>` does
    not. Saliency likewise at 0.5; as grey levels 51/255 meets 0.2.
    """
    ramp = [[0, 0.125, 0.25, 0.375, 1]]
    maps, tags = one_map(ramp)
    size = {"height_px": 1, "width_px": 5}
    two = np.array([ramp[0], [1, 0.5, 0.25, 0.125, 0]], np.float32)[:, None]
    grey = np.array([[0, 50, 51, 52, 255]], np.float32) / 255
    maximum, none = np.ones((1, 1, 5), np.float32), np.zeros(0, np.uint8)
    histogram = saliency_scores.histogram(grey, np.array([[0, 0, 1, 255, 1]], np.uint8))
    return {
        "seed": seed_rule.seed_labels(maps, tags, threshold=0.25, **size),
        "seed of a doubled map": seed_rule.seed_labels(2 * maps, tags, threshold=0.25, **size),
        "two tags": seed_rule.seed_labels(two, np.array([2, 5], np.uint8), threshold=0.25, **size),
        "threshold 0": seed_rule.seed_labels(maps, tags, threshold=0, **size),
        "saliency": fused_label(maximum, tags, [[0, 0.375, 0.5, 0.625, 1]]),
        "grey saliency": fused_label(maximum, tags, grey, saliency_threshold=0.2),
        "no tags": fused_label(maximum[:0], none, [[0, 0.375, 0.5, 0.625, 1]]),
        "confusion": saliency_scores.confusion(histogram[None], threshold=0.2)[0],
        "cues": seed_rule.cues(maps, tags, seed_threshold=0.25, background_fraction=0.4, **size),
    }


def fused_label(maps: Float, tags: UInt8, saliency: Any, **changes: Any) -> UInt8:
    """Fused labels of G2."""
    how = rule_of("g2", unlabelled="ignore", **changes)
    return labels.fused(maps, tags, np.array(saliency, np.float32), how, chance=(0, "a")).label_HW


def compute_cues() -> dict[str, Any]:
    """SEC's cues: seeds of two classes, the lowest tenth and half as background, 0 first.

    By hand: of equal zeros those farthest from other values come first, so a half takes the left
    columns row by row.
    """
    maps = np.zeros((2, 6, 10), np.float32)
    maps[0, 1:4, 7:9], maps[1, 3:5, 5:7], maps[1, 0, 9] = 1, 2, 0.3
    tags, size = np.array([3, 1], np.uint8), {"height_px": 6, "width_px": 10}
    return {
        f"{share:g} of the image": seed_rule.cues(
            maps, tags, seed_threshold=0.25, background_fraction=share, **size
        )
        for share in (0, 0.1, 0.5, 1)
    }


IDS = tuple(f"2007_{n:06d}" for n in (27, 32, 39, 61, 121, 123, 129, 170))


def drawn_tags(rule: str, *, random_seed: int = 0, ids: tuple[str, ...] = IDS) -> list[list[int]]:
    """For each image id the tags that its three saliency components take, of six tags."""
    saliency = np.array([[1, 0, 1, 0, 1]], np.float32)
    tags = np.arange(1, 7, dtype=np.uint8)
    maps = np.ones((6, 1, 5), np.float32)
    each = (
        labels.fused(maps, tags, saliency, rule_of(rule), chance=(random_seed, key)) for key in ids
    )
    return [fused.label_HW[0, ::2].tolist() for fused in each]


def compute_draws() -> dict[str, Any]:
    """By rule and random seed, the draws of eight ids.

    Checked: they equal numpy's generator seeded with (random seed, CRC-32 of the id), asked for
    one of the tags as often as the rule draws (`test_independent`).
    """
    rules = ("g0", "saliency_only")
    return {r: {str(s): drawn_tags(r, random_seed=s) for s in (0, 1)} for r in rules}
