"""Saliency maps that the user gives: a folder with ID.png for each image."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.core import formats, shards
from pipeline.core.arrays import Float
from pipeline.core.errors import UserError, listing
from pipeline.core.maps import resize

MAX_COLOUR = 32  # how far R, G and B of a grey picture may lie apart, such as after JPEG


def require_maps(root: Path, ids: Sequence[str]) -> None:
    """Check that there is a map for each id. This opens no map.

    Raises:
        UserError: some ids have no map.
    """
    if missing := [key for key in ids if not shards.exists(root / f"{key}.png")]:
        raise UserError(
            f"{root}: {len(missing)} of {len(ids)} images have no map ID.png: "
            f"{listing(missing)}; add the maps, or correct saliency.options.folder.root"
        )


def read_map(path: Path, *, height_px: int, width_px: int) -> Float:
    """Read a map and resize it to its image: (H, W) in [0, 1].

    Raises:
        UserError: the map cannot be decoded, is in colour, or is turned by 90 degrees.
    """
    colours = formats.read_image(path)
    if np.ptp(colours, axis=2).max() > MAX_COLOUR:
        raise UserError(
            f"{path}: is in colour, but a saliency map is grey; save how salient each pixel is, "
            "from 0 to 255"
        )
    if height_px != width_px and colours.shape[:2] == (width_px, height_px):
        raise UserError(
            f"{path}: has {height_px}x{width_px} px, but its image {width_px}x{height_px}; turn "
            "the map as the image is turned"
        )
    return resize(formats.read_grey(path), height_px=height_px, width_px=width_px)
