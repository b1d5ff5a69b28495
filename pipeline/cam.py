"""Class maps and the seed rule.

Shapes: K classes of one image, h, w map size, H, W image size in px.
Source: Oh et al., CVPR 2017 (released rule: each map divided by its own maximum, argmax over the
image's tags, kept from 20 % on); Zhou et al., CVPR 2016.
"""

import cv2
import numpy as np

from pipeline.arrays import Float, UInt8


def normalise(maps_Khw: Float) -> Float:
    """Negative evidence cut off, each map divided by its own maximum: [0, 1]."""
    maps = np.maximum(maps_Khw, 0)
    top = maps.max(axis=(1, 2), keepdims=True, initial=0)
    return maps / np.where(top > 0, top, 1)


def upsample(maps_Khw: Float, *, height_px: int, width_px: int) -> Float:
    """Bilinear resize of each map to the image: (K, H, W)."""
    resized = [
        cv2.resize(m, (width_px, height_px), interpolation=cv2.INTER_LINEAR) for m in maps_Khw
    ]
    return np.stack(resized) if resized else np.zeros((0, height_px, width_px), np.float32)


def strongest(maps_KHW: Float, classes_K: UInt8) -> tuple[Float, UInt8]:
    """At each pixel the highest normalised value and its class; all 0 without tags."""
    if len(classes_K) == 0:
        empty = np.zeros(maps_KHW.shape[1:], np.float32)
        return empty, empty.astype(np.uint8)
    return maps_KHW.max(axis=0), classes_K[maps_KHW.argmax(axis=0)].astype(np.uint8)


def seed_labels(
    maps_Khw: Float, classes_K: UInt8, *, threshold: float, height_px: int, width_px: int
) -> UInt8:
    """The seed rule.

    Args:
        maps_Khw: class maps of the image's tags.
        classes_K: their class indices, from 1.
        threshold: share of a map's maximum from which a pixel is a seed, in [0, 1].
        height_px: image height.
        width_px: image width.

    Returns:
        Labels (H, W): a tag's index, or 0.
    """
    maps = upsample(normalise(maps_Khw), height_px=height_px, width_px=width_px)
    value, label = strongest(maps, classes_K)
    return np.where((value >= threshold) & (value > 0), label, 0).astype(np.uint8)
