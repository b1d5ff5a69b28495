"""Make the first labels of a training from boxes of the objects: Box, Box-i and GrabCut+.

Shapes: H, W image size in px; boxes are [x, y, width, height] in px.
Labels: 0 background, 1.. classes, 255 void. Pixels outside all boxes are background.
Source: Khoreva et al., "Simple Does It", CVPR 2017, section 3. The numbers in params.yaml (a fifth
of a box, shifts of 5 %, 70 % and 20 % of the runs) are recalled, and not checked in the paper.
"""

import zlib
from collections.abc import Sequence

import numpy as np

from pipeline.boxes.config import BoxI, GrabCutPlus
from pipeline.boxes.grabcut import Box, grabcut, inside
from pipeline.core.arrays import VOID, Float, UInt8
from pipeline.core.config import Frozen

ClassBoxes = tuple[tuple[int, Box], ...]  # the class index, from 1, and the box of each object


def first_label(
    image_HW3: UInt8, boxes: ClassBoxes, options: Frozen, *, chance: tuple[int, str]
) -> UInt8:
    """Label an image by its boxes, in the way that the type of `options` names.

    Args:
        image_HW3: RGB image.
        boxes: the objects of the image.
        options: the options of one supervision, as in `BoxOptions`.
        chance: random seed and image id. They seed the shifts of GrabCut+.

    Returns:
        Label (H, W).
    """
    if isinstance(options, BoxI):
        return fill_inner(image_HW3.shape[:2], boxes, share=options.inner_share)
    if isinstance(options, GrabCutPlus):
        return grabcut_plus(image_HW3, boxes, options, chance=chance)
    return fill(image_HW3.shape[:2], boxes)


def smaller_last(boxes: ClassBoxes) -> list[tuple[int, Box]]:
    """Sort boxes by area, the largest first: the order in which to paint them."""
    return sorted(boxes, key=lambda b: -b[1][2] * b[1][3])


def fill(shape: tuple[int, ...], boxes: ClassBoxes) -> UInt8:
    """Box: fill each box with its class, smaller boxes on top of larger ones."""
    label = np.zeros(shape, np.uint8)
    for index, box in smaller_last(boxes):
        label[inside(shape, box)] = index
    return label


def fill_inner(shape: tuple[int, ...], boxes: ClassBoxes, *, share: float) -> UInt8:
    """Box-i: as Box, but only the inner `share` of a box's area has its class; the rest is void."""
    label = np.zeros(shape, np.uint8)
    for index, box in smaller_last(boxes):
        label[inside(shape, box)] = VOID
        label[inside(shape, _inner(box, share))] = index
    return label


def _inner(box: Box, share: float) -> Box:
    """Shrink a box around its centre to `share` of its area, with sides of at least 1 px."""
    x, y, w, h = box
    width, height = (max(1, round(side * share**0.5)) for side in (w, h))
    return x + (w - width) // 2, y + (h - height) // 2, width, height


def grabcut_plus(
    image_HW3: UInt8, boxes: ClassBoxes, options: GrabCutPlus, *, chance: tuple[int, str]
) -> UInt8:
    """GrabCut+: the class where most runs of GrabCut call a pixel object, void where fewer do.

    A pixel in a box gets the class if at least the share `foreground` of the runs call it object.
    Otherwise it is void if at least the share `background` do. Any other pixel keeps the label that
    larger boxes give it. If the pixels of the class fill less than `min_fill` of a box, the whole
    box is void.

    The paper calls it GrabCut+i if votes make pixels void (recalled). Departures: the paper takes
    the pairwise term from boundaries that a network (HED) detects. It has about 150 runs, and also
    varies the background around a box from 10 to 60 % (both recalled). Ours is plain GrabCut with
    a fixed background. It runs once for all boxes of a class, not once for each box. `min_fill` is
    ours: without it, an object that GrabCut misses would become background.
    """
    rng = np.random.default_rng([chance[0], zlib.crc32(chance[1].encode())])
    label = np.zeros(image_HW3.shape[:2], np.uint8)
    shares = {
        index: _object_share(image_HW3, [b for i, b in boxes if i == index], options, rng)
        for index in sorted({i for i, _ in boxes})
    }
    for index, box in smaller_last(boxes):
        within, share_HW = inside(label.shape, box), shares[index]
        certain = within & (share_HW >= options.foreground)
        if certain.sum() < options.min_fill * within.sum():
            label[within] = VOID
            continue
        label[within & (share_HW >= options.background)] = VOID
        label[certain] = index
    return label


def _object_share(
    image_HW3: UInt8, boxes: Sequence[Box], options: GrabCutPlus, rng: np.random.Generator
) -> Float:
    """Return the share (H, W) of GrabCut's runs that call a pixel object, in [0, 1]."""
    masks = [
        grabcut(
            image_HW3,
            [_shifted(box, options.shift, rng) for box in boxes],
            iterations=options.iterations,
        )
        for _ in range(options.runs)
    ]
    return np.mean(masks, axis=0)


def _shifted(box: Box, shift: float, rng: np.random.Generator) -> Box:
    """Move each side of a box by at most `shift` times its width or height."""
    x, y, w, h = box
    left, right, top, bottom = rng.uniform(-shift, shift, 4) * (w, w, h, h)
    width, height = max(1, round(w + right - left)), max(1, round(h + bottom - top))
    return round(x + left), round(y + top), width, height
