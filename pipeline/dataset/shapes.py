"""Generate a small, deterministic data set with the traps of the real problem.

Every object has a textured body and an emblem near one end. Bodies look alike in all classes, and
only the emblem tells the class. So a classifier finds the emblem, and saliency finds the body.

The traps: images show several objects and classes, and some objects touch. Some salient objects
carry the emblem of a class that is not listed. Saliency misses some bodies, which are small and
faint. A `train` always stands on rails.

Shapes: H, W image size in px. Labels: 0 background, 1.. classes, 255 void.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.core.arrays import VOID, Float, UInt8

Rng = np.random.Generator
Polygon = npt.NDArray[np.float64]

CLASSES = ("disc", "square", "triangle", "cross", "train")
OTHERS = ("star", "diamond", "ring", "bars")  # not in the class list: distractors and boxed set
MIN_SEEN_PX = 100  # a class with fewer visible pixels gets no tag, and its pixels are void


def _regular(count: int, turn: float = 0.0) -> Polygon:
    """A regular polygon with radius 1; `turn` in radians."""
    angle = np.arange(count) * 2 * np.pi / count + turn
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _cross() -> Polygon:
    a = 0.38
    return np.array(
        [
            (-a, -1),
            (a, -1),
            (a, -a),
            (1, -a),
            (1, a),
            (a, a),
            (a, 1),
            (-a, 1),
            (-a, a),
            (-1, a),
            (-1, -a),
            (-a, -a),
        ]
    )


def _star() -> Polygon:
    points = _regular(10, -np.pi / 2)
    points[1::2] *= 0.42
    return points


EMBLEMS: dict[str, list[Polygon]] = {
    "disc": [_regular(24)],
    "square": [_regular(4, np.pi / 4) * 1.15],
    "triangle": [_regular(3, -np.pi / 2) * 1.2],
    "cross": [_cross()],
    "train": [
        np.array([(-1, -0.5), (-0.2, -0.5), (-0.2, 0.5), (-1, 0.5)]),
        np.array([(0.2, -0.5), (1, -0.5), (1, 0.5), (0.2, 0.5)]),
    ],
    "star": [_star()],
    "diamond": [_regular(4) * (0.65, 1.2)],
    "ring": [_regular(24), _regular(24)[::-1] * 0.5],
    "bars": [np.array([(-1, y), (1, y), (1, y + 0.4), (-1, y + 0.4)]) for y in (-0.9, -0.2, 0.5)],
}


@dataclass(frozen=True)
class Scene:
    """An image (H, W, 3), its label (H, W), its tags, and the kind and box of every object.

    A box is [x, y, width, height] in px.
    """

    image: UInt8
    label: UInt8
    tags: tuple[str, ...]
    boxes: tuple[tuple[str, tuple[int, int, int, int]], ...]


def _noise(size: int, cell: int, rng: Rng) -> Float:
    """Smooth noise in [0, 1]: two octaves, on grids of `cell` and `cell // 3` px."""
    out = np.zeros((size, size), np.float32)
    for c, weight in ((cell, 0.7), (max(2, cell // 3), 0.3)):
        grid = rng.random((size // c + 2, size // c + 2), dtype=np.float32)
        out += weight * cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.clip(out, 0, 1)


def _texture(size: int, a: Float, b: Float, rng: Rng) -> Float:
    """A texture of stripes, checks or noise between the colours `a` and `b`."""
    kind, period = rng.integers(3), rng.uniform(8, 20)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    turn = rng.uniform(0, np.pi)
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    wave = np.sin(2 * np.pi * u / period)
    if kind == 1:
        wave = wave * np.sin(2 * np.pi * v / period)
    mix = _noise(size, int(period), rng) if kind == 2 else 0.5 + 0.5 * wave
    return a + (b - a) * mix[..., None]


def _colours(rng: Rng, near: Float | None = None, apart: float = 0.0) -> tuple[Float, Float]:
    """Draw two related colours.

    The first one is at least `apart` from `near` (Euclidean distance in grey levels), unless 50
    draws fail.
    """
    for _ in range(50):
        a = rng.uniform(20, 235, 3).astype(np.float32)
        if near is None or np.linalg.norm(a - near) >= apart:
            break
    return a, np.clip(a + rng.uniform(-45, 45, 3), 0, 255).astype(np.float32)


def _body(size: int, centre: Polygon, radius: float, turn: float, long: float, rng: Rng) -> UInt8:
    """The mask of a wobbly blob that is `long` times as long as it is wide."""
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    wobble = np.ones_like(angle)
    for k in (2, 3):
        wobble += rng.uniform(-0.1, 0.1) * np.cos(k * angle + rng.uniform(0, 6))
    points = np.stack([np.cos(angle) * long, np.sin(angle)], 1) * (radius * wobble)[:, None]
    return _fill(size, [_place(points, centre, turn)])


def _place(points: Polygon, centre: Polygon, turn: float) -> Polygon:
    """Rotate points by `turn` radians and move them to `centre`."""
    c, s = np.cos(turn), np.sin(turn)
    return points @ np.array([[c, s], [-s, c]]) + centre


def _fill(size: int, polygons: Sequence[Polygon]) -> UInt8:
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [np.round(p).astype(np.int32) for p in polygons], 1)
    return mask


def _draw(
    scene: Float, kind: str, centre: Polygon, radius: float, rng: Rng, *, faint: bool
) -> UInt8:
    """Draw one object into `scene`, and return its mask."""
    size = len(scene)
    turn = rng.uniform(-0.2, 0.2) if kind == "train" else rng.uniform(0, 2 * np.pi)
    long = 2.0 if kind == "train" else rng.uniform(1.2, 1.7)
    mask = _body(size, centre, radius, turn, long, rng)
    behind = scene[mask > 0].mean(axis=0) if mask.any() else scene.mean(axis=(0, 1))
    a, b = _colours(rng, behind, apart=100)
    if faint:
        a, b = behind + 0.15 * (a - behind), behind + 0.15 * (b - behind)
    scene[mask > 0] = _texture(size, a, b, rng)[mask > 0]
    emblem_centre = _place(np.array([[0.55 * radius * long, 0.0]]), centre, turn)[0]
    emblem = [_place(p * radius * 0.45, emblem_centre, 0.0) for p in EMBLEMS[kind]]
    ink = np.float32(250 if a.mean() < 128 else 10)
    if faint:
        ink = np.float32(behind.mean() + (60 if behind.mean() < 128 else -60))
    scene[(_fill(size, emblem) & mask) > 0] = ink
    return mask


def _rails(scene: Float, y: float, rng: Rng) -> None:
    """Draw rails across `scene`, with their upper edge at `y` px."""
    size = len(scene)
    top = int(np.clip(y, 0, size - 14))
    scene[top : top + 12] = 0.5 * scene[top : top + 12] + 50
    for x in range(int(rng.integers(0, 8)), size, 9):
        scene[top : top + 12, x : x + 3] = (90, 60, 35)
    for rail in (top + 1, top + 9):
        scene[rail : rail + 2] = (200, 200, 210)


def draw_scene(
    size_px: int, rng: Rng, *, kinds: Sequence[str], distractors: Sequence[str]
) -> Scene:
    """Draw one scene with one to three objects of `kinds`, and sometimes one of `distractors`."""
    scene = _texture(size_px, *_colours(rng), rng) * 0.45
    a, b = _colours(rng)
    scene += 0.55 * (a + (b - a) * _noise(size_px, size_px // 3, rng)[..., None])
    label = np.zeros((size_px, size_px), np.uint8)
    count = int(rng.choice([1, 2, 3], p=[0.4, 0.4, 0.2]))
    wanted = [str(k) for k in rng.choice(kinds, count)]
    wanted += [str(rng.choice(distractors))] if distractors and rng.random() < 0.4 else []
    boxes, last = [], None
    for kind in wanted:
        faint = rng.random() < 0.12
        radius = size_px * (rng.uniform(0.06, 0.09) if faint else rng.uniform(0.11, 0.19))
        centre = rng.uniform(0.15, 0.85, 2) * size_px
        if last is not None and rng.random() < 0.4:  # touch the previous object
            step = _regular(1, rng.uniform(0, 2 * np.pi))[0] * (last[1] + radius) * 1.1
            centre = np.clip(last[0] + step, 0.1 * size_px, 0.9 * size_px)
        if kind == "train":
            _rails(scene, centre[1] + 0.8 * radius, rng)
        mask = _draw(scene, kind, centre, radius, rng, faint=faint)
        label[mask > 0] = kinds.index(kind) + 1 if kind in kinds else 0
        if mask.any():
            boxes.append((kind, cv2.boundingRect(mask)))
        last = (centre, radius)
    seen = [k for i, k in enumerate(kinds, 1) if (label == i).sum() >= MIN_SEEN_PX]
    slivers = [i for i, k in enumerate(kinds, 1) if k not in seen]
    label = _void_borders(np.where(np.isin(label, slivers), VOID, label).astype(np.uint8))
    noisy = scene + rng.normal(0, 6, scene.shape)
    image = np.clip(cv2.GaussianBlur(noisy, (0, 0), 0.7), 0, 255).astype(np.uint8)
    return Scene(image, label, tuple(seen), tuple(boxes))


def _void_borders(label_HW: UInt8) -> UInt8:
    """Make the pixels where two labels meet void, as VOC's masks do."""
    kernel = np.ones((3, 3), np.uint8)
    edge = cv2.dilate(label_HW, kernel) != cv2.erode(label_HW, kernel)
    return np.where(edge, VOID, label_HW).astype(np.uint8)


def _scenes(count: int, draw: Callable[[Rng], Scene], entropy: Sequence[int]) -> Iterator[Scene]:
    """Draw `count` scenes with a tag or only unlisted objects, each from its own generator."""
    made, tries = 0, 0
    while made < count:
        scene = draw(np.random.default_rng([*entropy, tries]))
        tries += 1
        if scene.tags or (scene.boxes and not scene.label.any()):
            made += 1
            yield scene


def labelled(count: int, *, size_px: int, random_seed: int, part: int) -> Iterator[Scene]:
    """Draw scenes of CLASSES with distractors of OTHERS; `part` is 0 for train and 1 for val."""
    yield from _scenes(
        count,
        lambda rng: draw_scene(size_px, rng, kinds=CLASSES, distractors=OTHERS),
        (random_seed, part),
    )


def boxed(count: int, *, size_px: int, random_seed: int) -> Iterator[Scene]:
    """Draw scenes of OTHERS alone, to train the saliency network on."""
    yield from _scenes(
        count,
        lambda rng: draw_scene(size_px, rng, kinds=OTHERS, distractors=()),
        (random_seed, 2),
    )
