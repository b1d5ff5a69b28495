"""Maps over an image: normalise, resize, and which class is strongest where.

Shapes: K classes of one image, h, w map size, H, W image size in px.
"""

import cv2
import numpy as np

from pipeline.core.arrays import Float, UInt8


def normalise(maps: Float) -> Float:
    """Cut off negative evidence and divide each map by its own maximum: [0, 1].

    Takes one map (h, w) or several (K, h, w). A map without positive evidence stays 0.

    Source: the released rules of Oh et al., CVPR 2017, for class maps and for saliency.
    """
    positive = np.maximum(maps, 0)
    top = positive.max(axis=(-2, -1), keepdims=True, initial=0)
    return positive / np.where(top > 0, top, 1)


def resize(maps: Float, *, height_px: int, width_px: int) -> Float:
    """Bilinear resize of one map (h, w) or several (K, h, w), half-pixel centres."""
    size = (width_px, height_px)
    if maps.ndim == 2:
        return cv2.resize(maps, size, interpolation=cv2.INTER_LINEAR)
    resized = [cv2.resize(one, size, interpolation=cv2.INTER_LINEAR) for one in maps]
    return np.stack(resized) if resized else np.zeros((0, height_px, width_px), np.float32)


def strongest(maps_KHW: Float, classes_K: UInt8) -> tuple[Float, UInt8]:
    """At each pixel the highest value and its class; all 0 without classes."""
    if len(classes_K) == 0:
        empty = np.zeros(maps_KHW.shape[1:], np.float32)
        return empty, empty.astype(np.uint8)
    return maps_KHW.max(axis=0), classes_K[maps_KHW.argmax(axis=0)].astype(np.uint8)
