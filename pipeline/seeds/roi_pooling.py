"""Pool class maps over superpixels (GAP-ROI).

Shapes: N images, K classes, H, W image size in px, h, w map size, R superpixels.
Source: the GAP-ROI seeder of Oh et al., CVPR 2017: region pooling before the global average. The
released code does not have it. Our regions are SLIC superpixels (Achanta et al., PAMI 2012).
"""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from skimage.segmentation import slic
from torch import Tensor

from pipeline.core.arrays import Float, Int, UInt8

COMPACTNESS = 10.0
REDUCED = 4  # SLIC works on the image shrunk by this factor; a superpixel still has many pixels


def superpixels(image_HW3: UInt8, count: int) -> Int:
    """Divide the image, shrunk by REDUCED, into about `count` superpixels, numbered from 0."""
    height, width = (max(1, side // REDUCED) for side in image_HW3.shape[:2])
    small = cv2.resize(image_HW3, (width, height), interpolation=cv2.INTER_AREA)
    ids: Int = slic(small, n_segments=count, compactness=COMPACTNESS, start_label=0)
    return ids


def pool(maps_NKhw: Tensor, image_N3HW: Tensor, count: int) -> list[Tensor]:
    """Compute the mean of every map in every superpixel.

    A pooling of these means counts each superpixel once, whatever its area.

    Returns:
        For each image, means (1, K, 1, R); R differs between images.
    """
    out = []
    for maps, image in zip(maps_NKhw.float(), image_N3HW, strict=True):
        ids = superpixels(image.detach().permute(1, 2, 0).byte().cpu().numpy(), count)
        flat = torch.from_numpy(ids.ravel().astype(np.int64)).to(maps.device)
        fine = F.interpolate(maps[None], ids.shape, mode="bilinear", align_corners=False)[0]
        area = torch.bincount(flat).clamp(min=1)
        total = fine.new_zeros(len(maps), len(area)).index_add(1, flat, fine.flatten(1))
        out.append((total / area)[None, :, None])
    return out


def flatten(maps_Khw: Float, image_HW3: UInt8, count: int) -> Float:
    """Replace every map by its mean inside each superpixel.

    Returns:
        Maps (K, H/REDUCED, W/REDUCED).
    """
    ids = superpixels(image_HW3, count)
    size = (ids.shape[1], ids.shape[0])
    area = np.bincount(ids.ravel())
    out = [
        (np.bincount(ids.ravel(), cv2.resize(m, size).ravel()) / np.maximum(area, 1))[ids]
        for m in maps_Khw
    ]
    return np.stack(out).astype(np.float32) if out else np.zeros((0, *ids.shape), np.float32)
