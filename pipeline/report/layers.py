"""What the links made of one image, as transparent layers over the photograph.

Flat colours keep the layers small: a map has STEPS shades.
Shapes: K tags, L layers, H, W image size in px, h, w size of a map, y, x size of a layer in px.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.core.arrays import CONTESTED, VOID, Float, UInt8
from pipeline.core.maps import normalise, resize, strongest
from pipeline.report.drawing import COLOURS

LAYERS = (
    "class maps", "seed", "saliency", "guide", "brought", "prediction", "truth", "errors",
)  # fmt: skip
STEPS = 12  # shades of a map
TINT = 165  # opacity of a label, of 255
# Orange, blue and reddish purple of Okabe and Ito: colour-blind eyes tell them apart.
FALSE_POSITIVE, FALSE_NEGATIVE, WRONG_CLASS = (230, 159, 0), (0, 114, 178), (204, 121, 167)
RIGHT = (255, 255, 255)


@dataclass(frozen=True)
class Chain:
    """One image and what the links of the chain made of it. None: the link made nothing."""

    image_HW3: UInt8
    maps_Khw: Float
    tags_K: UInt8
    saliency_HW: Float
    seed_HW: UInt8 | None
    guide_HW: UInt8 | None
    prediction_HW: UInt8 | None
    truth_HW: UInt8 | None
    brought_HW: UInt8 | None = None

    def labels(self) -> tuple[UInt8 | None, ...]:
        """Return the labels in the order of LAYERS."""
        return (
            self.seed_HW, self.guide_HW, self.brought_HW, self.prediction_HW, self.truth_HW,
        )  # fmt: skip


def of_page(supervision: Sequence[str]) -> tuple[str, ...]:
    """Return those of LAYERS that a page has: masks that the user brought only if one learned."""
    return tuple(n for n in LAYERS if n != "brought" or n in supervision)


def photo(image_HW3: UInt8, *, side_px: int) -> UInt8:
    """Shrink a photograph so that its long side has `side_px`; a smaller one keeps its size."""
    scale = min(1.0, side_px / max(image_HW3.shape[:2]))
    size = [max(1, round(n * scale)) for n in image_HW3.shape[1::-1]]
    return cv2.resize(image_HW3, size, interpolation=cv2.INTER_AREA)


def present(chain: Chain) -> tuple[bool, ...]:
    """Return whether each of LAYERS can be drawn."""
    seed, *labels = (label is not None for label in chain.labels())
    guide, _, prediction, truth = labels
    return (len(chain.tags_K) > 0, seed, True, *labels, truth and (guide or prediction))


def draw(chain: Chain, *, side_px: int) -> tuple[UInt8, list[UInt8 | None]]:
    """Return the photograph (y, x, 3) with a long side of `side_px`, and its layers."""
    shown = photo(chain.image_HW3, side_px=side_px)
    drawn = layers(chain, size=shown.shape[:2])
    return shown, [d if p else None for d, p in zip(drawn, present(chain), strict=True)]


def layers(chain: Chain, *, size: tuple[int, int]) -> list[UInt8 | None]:
    """Draw each of LAYERS as RGBA (y, x, 4) of `size` (y, x); None for what is missing.

    The errors are those of the prediction, or of the guide label if there is no prediction.
    """
    labels = [
        None if label is None else cv2.resize(label, size[::-1], interpolation=cv2.INTER_NEAREST)
        for label in chain.labels()
    ]
    _, guide, _, prediction, truth = labels
    last = guide if prediction is None else prediction
    maps = resize(normalise(chain.maps_Khw), height_px=size[0], width_px=size[1])
    saliency = resize(normalise(chain.saliency_HW), height_px=size[0], width_px=size[1])
    strength, _ = strongest(maps, chain.tags_K)
    tints = [None if label is None else tint(label) for label in labels]
    missed = None if last is None or truth is None else errors(last, truth)
    return [heat(strength), tints[0], veil(saliency), *tints[1:], missed]


def tint(label_HW: UInt8) -> UInt8:
    """Colour the labelled pixels. Background stays clear, contested pixels turn white."""
    colour = COLOURS[label_HW].copy()
    colour[label_HW == CONTESTED] = 255
    return np.dstack([colour, np.where(label_HW > 0, TINT, 0).astype(np.uint8)])


def errors(label_HW: UInt8, truth_HW: UInt8) -> UInt8:
    """Colour false positives, false negatives and wrong classes; whiten right object pixels.

    Right background is darkened. Pixels that are void in the truth turn grey.
    """
    true, predicted, known = truth_HW > 0, label_HW > 0, truth_HW != VOID
    out = np.full((*label_HW.shape, 4), (0, 0, 0, 120), np.uint8)
    out[known & true & (label_HW == truth_HW)] = (*RIGHT, 60)
    out[known & ~true & predicted] = (*FALSE_POSITIVE, 215)
    out[known & true & ~predicted] = (*FALSE_NEGATIVE, 215)
    out[known & true & predicted & (label_HW != truth_HW)] = (*WRONG_CLASS, 215)
    out[~known] = (128, 128, 128, 170)
    return out


def heat(map_HW: Float) -> UInt8:
    """Draw a map in [0, 1] in colours from blue to red. Its lowest step is clear."""
    shade = _stepped(map_HW)
    colour = cv2.applyColorMap((255 * shade).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    return np.dstack([colour, np.where(shade > 0, 90 + 110 * shade, 0).astype(np.uint8)])


def veil(map_HW: Float) -> UInt8:
    """Darken where a map in [0, 1] is low."""
    out = np.zeros((*map_HW.shape, 4), np.uint8)
    out[..., 3] = 225 * (1 - _stepped(map_HW))
    return out


def _stepped(map_HW: Float) -> Float:
    """Round to multiples of 1 / STEPS."""
    return np.round(np.clip(map_HW, 0, 1) * STEPS) / STEPS


def over(photo_HW3: UInt8, layer_HW4: UInt8) -> UInt8:
    """Lay a transparent layer over a photograph of its size."""
    alpha = layer_HW4[..., 3:].astype(np.float32) / 255
    return (photo_HW3 * (1 - alpha) + layer_HW4[..., :3] * alpha).astype(np.uint8)


def strip(drawn: Sequence[UInt8 | None], *, size: tuple[int, int]) -> UInt8:
    """Set all layers below each other, (L y, x, 4). A missing layer is clear."""
    clear = np.zeros((*size, 4), np.uint8)
    return np.concatenate([clear if layer is None else layer for layer in drawn])
