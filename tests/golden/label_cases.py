"""Fused labels under every rule, guide labels, randomly drawn tags, and exact thresholds.

Checked: the boards of `compute_fused` and the cues by eye, against the text of the rules. The
files of values show them as pictures. `test_independent` recomputes G2 pair by pair with
scikit-image's components, and the CRF inside contested components with
`independent.lattice_kernel`.
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
# name -> saliency, and by component the changes of the scores of tags 1, 2 and 3
SCORED = {
    "the greatest change": ("##..#..###", [[2, 1, -1], [0.25, 0.75, 0.5], [-3, -2, 4]]),
    "no positive change": ("##...#..##", [[-1, -2, -0.5], [0, 0, 0], [0.125, 0, -8]]),
    "equal changes": ("##......##", [[1, 1, 0], [0, 2, 2]]),
    "joined by a corner": ("#... .#.. .... ...#", [[0, 0, 1], [0, 1, 0]]),
    "no component": ("..........", []),
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
    """Return section `fuse` without area limits, and with `changes`."""
    values = {
        "rule": name, "evidence": "component_scores" if name == "g1" else "maps",
        "unlabelled": "background", "seed_rule": "threshold", "seed_threshold": 0.25,
        "saliency_threshold": 0.5, "min_seed_area_px": 0, "min_saliency_fraction": 0,
    }  # fmt: skip
    return Fuse.model_validate(values | changes)


def fuse_board(name: str, seeds: UInt8, salient: UInt8, **changes: Any) -> dict[str, UInt8]:
    """Apply a rule to a board, with both values of `unlabelled`."""
    labels = {}
    for unlabelled in ("background", "ignore"):
        options = rule_of(name, unlabelled=unlabelled, **changes)
        rng = np.random.default_rng([0, 7])
        fused = rules.fuse(seeds, salient > 0, options, tags=(1, 2, 3), rng=rng)
        labels[unlabelled] = fused.label_HW
    return labels | {"seeds": fused.seeds_HW}


def compute_fused() -> dict[str, Any]:
    """By rule: every board, and LIMITS with both area limits met exactly, and each just missed.

    LIMITS holds seeds of 4, 3 and 4 px; SALIENT holds components of 5, 7 and 6 px of 100. G1 has
    boards of its own, SCORED, because it reads no seeds.
    """
    out: dict[str, Any] = {}
    limits = {"limits met": (4, 0.06), "seed limit": (5, 0.06), "saliency limit": (4, 0.065)}
    boards = {k: tuple(map(pictures.board, v)) for k, v in BOARDS.items()}
    for rule in rules.RULES:
        if rule == "g1":
            out[rule] = compute_scored()
            continue
        out[rule] = {name: fuse_board(rule, *board) for name, board in boards.items()}
        for name, (seed_px, fraction) in limits.items():
            board = pictures.board(LIMITS), pictures.board(SALIENT)
            changes = {"min_seed_area_px": seed_px, "min_saliency_fraction": fraction}
            out[rule][name] = fuse_board(rule, *board, **changes)
    return out


def compute_scored() -> dict[str, Any]:
    """Rule G1 on SCORED, and on SALIENT of which the components of 7 and 6 px reach the limit.

    By hand: each component takes the tag of its row's greatest number, the first of equal ones,
    and 0 (or void) if none is above 0.
    """
    found = {
        name: settle_by_scores(pictures.board(salient), changes)
        for name, (salient, changes) in SCORED.items()
    }
    limit, both = {"min_saliency_fraction": 0.06}, [[0, 0, 1], [0, 1, 0]]
    return found | {"limit met": settle_by_scores(pictures.board(SALIENT), both, **limit)}


def settle_by_scores(salient: UInt8, changes: Any, **limits: Any) -> dict[str, UInt8]:
    """What G1 makes of a board: fused labels with both values of `unlabelled`."""
    tags, rows = np.arange(1, 4, dtype=np.uint8), np.array(changes, np.float32).reshape(-1, 3)
    saliency, found = (salient > 0).astype(np.float32), {}
    for unlabelled in ("background", "ignore"):
        how = rule_of("g1", unlabelled=unlabelled, **limits)
        found[unlabelled] = labels.fused_by_scores(rows, tags, saliency, how).label_HW
    return found


def contested(name: str) -> tuple[UInt8, rules.Fused, Diffuse]:
    """Return a 24x32 px image, all of it contested by two classes; its seeds; section `diffuse`.

    These images came out of a search. Each of these changes labels many of their pixels
    differently: `neglog` for `linear`, five iterations for ten, a clip of 0.2 for 1e-3. And the
    marginals of no pixel nearly tie.
    """
    angle, offset, noise, first, second, sigma_px, crf = {
        "deeplab": (22, 3, 20, (6, 17), (3, 25), 3, "deeplab"),
        "seed": (9, -1, 40, (16, 25), (5, 3), 10, "seed"),
    }[name]
    y, x = np.mgrid[:24, :32]
    side = ((x - 16) * np.cos(angle) + (y - 12) * np.sin(angle) > offset).astype(np.uint8)
    image = pictures.painted(side, noise=noise, contrast=0.3, seed=angle)
    seeds = np.zeros(side.shape, np.uint8)
    seeds[first[0] : first[0] + 3, first[1] : first[1] + 4] = 1
    seeds[second[0] : second[0] + 4, second[1] : second[1] + 5] = 2
    fused = rules.fuse(seeds, seeds < 9, rule_of("g2"), tags=(1, 2), rng=np.random.default_rng(0))
    return image, fused, Diffuse(blur_sigma_px=sigma_px, unary="linear", crf=crf, shrink=1)


def guide_labels(name: str, **changes: Any) -> UInt8:
    """Compute the guide labels of `contested`, with these changes of section `diffuse`."""
    image, fused, options = contested(name)
    options = options.model_copy(update=changes)
    return diffusion.diffuse(image, fused, options, crf_cases.sets()[options.crf])


def compute_guide() -> dict[str, Any]:
    """Guide labels with both unaries, shrunk ones, and a board with two contested components."""
    guides = {
        name: {unary: guide_labels(name, unary=unary) for unary in ("linear", "neglog")}
        | {"shrunk": guide_labels(name, shrink=2)}
        for name in ("deeplab", "seed")
    }
    seeds, salient = np.zeros((12, 16), np.uint8), np.zeros((12, 16), bool)
    seeds[2, 2], seeds[2, 6], seeds[9, 3], seeds[9, 9], seeds[4, 14] = 1, 2, 3, 1, 2
    salient[1:5, 1:8] = salient[7:11, 2:11] = salient[:6, 13:15] = True
    fused = rules.fuse(seeds, salient, rule_of("g2"), tags=(1, 2, 3), rng=np.random.default_rng(0))
    options = Diffuse(blur_sigma_px=2, unary="linear", crf="deeplab", shrink=1)
    image = pictures.two_tone()[0]
    guide = diffusion.diffuse(image, fused, options, crf_cases.sets()["deeplab"])
    return guides | {"two contested": {"fused": fused.label_HW, "guide": guide}}


def one_map(values: Float) -> tuple[Float, UInt8]:
    """Return class maps (1, h, w) of tag 1, and that tag."""
    return np.array(values, np.float32)[None], np.array([1], np.uint8)


def compute_thresholds() -> dict[str, Any]:
    """Labels of maps with values in eighths and a threshold of 0.25, which a pixel meets exactly.

    By hand: the maximum is 1. So `>=` takes the third pixel of (0, 0.125, 0.25, 0.375, 1), and `>`
    does not. Saliency meets 0.5 in the same way. As a grey level, 51/255 meets 0.2.
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
    """Fuse by G2 with `unlabelled: ignore`."""
    options = rule_of("g2", unlabelled="ignore", **changes)
    saliency_map = np.array(saliency, np.float32)
    return labels.fused(maps, tags, saliency_map, options, chance=(0, "a")).label_HW


def compute_cues() -> dict[str, Any]:
    """SEC's cues: seeds of two classes, and a share of the image as background.

    By hand: the pixels with the lowest values become background. Among pixels of value 0, those
    farthest from other values come first. So half of the image is its left columns, row by row.
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
    """Draw the tags of three saliency components, from six tags, for each image id."""
    saliency = np.array([[1, 0, 1, 0, 1]], np.float32)
    tags = np.arange(1, 7, dtype=np.uint8)
    maps = np.ones((6, 1, 5), np.float32)
    images = (
        labels.fused(maps, tags, saliency, rule_of(rule), chance=(random_seed, key)) for key in ids
    )
    return [fused.label_HW[0, ::2].tolist() for fused in images]


def compute_draws() -> dict[str, Any]:
    """The drawn tags of eight ids, by rule and random seed.

    Checked: `test_independent` draws the same tags from numpy's generator with the seed (random
    seed, CRC-32 of the id).
    """
    rules = ("g0", "component_random")
    return {r: {str(s): drawn_tags(r, random_seed=s) for s in (0, 1)} for r in rules}
