"""Operations on maps: normalise, resize, and find the strongest class at each pixel.

Shapes: K classes of one image; h, w size of the map; H, W size of the image in px.
"""

import cv2
import numpy as np

from pipeline.core.arrays import Float, UInt8


def normalise(maps: Float) -> Float:
    """Set negative values to 0 and divide each map by its own maximum, which gives [0, 1].

    Takes one map (h, w) or several (K, h, w). A map without positive values becomes 0 everywhere.

    Source: the released rules of Oh et al., CVPR 2017, for class maps and for saliency. Departure:
    the release keeps negative values of class maps.
    """
    positive = np.maximum(maps, 0)
    top = positive.max(axis=(-2, -1), keepdims=True, initial=0)
    return positive / np.where(top > 0, top, 1)


def resize(maps: Float, *, height_px: int, width_px: int) -> Float:
    """Resize one map (h, w) or several (K, h, w) bilinearly, with half-pixel centres."""
    size = (width_px, height_px)
    if maps.ndim == 2:
        return cv2.resize(maps, size, interpolation=cv2.INTER_LINEAR)
    resized = [cv2.resize(map_hw, size, interpolation=cv2.INTER_LINEAR) for map_hw in maps]
    return np.stack(resized) if resized else np.zeros((0, height_px, width_px), np.float32)


def strongest(maps_KHW: Float, classes_K: UInt8) -> tuple[Float, UInt8]:
    """Return the highest value (H, W) and its class (H, W) at each pixel; both 0 if K is 0."""
    if len(classes_K) == 0:
        empty = np.zeros(maps_KHW.shape[1:], np.float32)
        return empty, empty.astype(np.uint8)
    return maps_KHW.max(axis=0), classes_K[maps_KHW.argmax(axis=0)].astype(np.uint8)
