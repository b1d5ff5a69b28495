"""Probabilities at image size: in memory, and in a file without holding them all in memory.

Shapes: H, W image size in px, K classes with the background, h, w logit size.
"""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from pipeline.core import formats
from pipeline.core.arrays import Float
from pipeline.core.maps import resize
from pipeline.inference import tiles


def whole(logits_Khw: Float, height_px: int, width_px: int) -> Float:
    """Return the softmax (K, H, W) of upsampled logits."""
    logits = resize(logits_Khw, height_px=height_px, width_px=width_px)
    return np.exp(logits - _log_sum(logits))


def _log_sum(logits_KHW: Float) -> Float:
    """Return the logarithm of the sum of exp(logits) over K."""
    highest = logits_KHW.max(axis=0)
    return highest + np.log(np.exp(logits_KHW - highest).sum(axis=0))


def write(
    path: Path, logits_Khw: Float, height_px: int, width_px: int, *, classes: Sequence[str]
) -> None:
    """Write an npz file: `probabilities` (K, H, W) float16, and `classes`.

    Equal content gives equal bytes. Beside the logits, memory holds two arrays (H, W).

    Raises:
        UserError: the file cannot be written.
    """
    size = {"height_px": height_px, "width_px": width_px}
    log_sum = np.empty((height_px, width_px), np.float32)
    for rows, columns in tiles.windows(height_px, width_px):
        log_sum[rows, columns] = _log_sum(tiles.window(logits_Khw, rows, columns, **size))

    def write_classes(member: IO[bytes]) -> None:
        np.lib.format.write_array(member, np.array(classes), allow_pickle=False)

    def write_probabilities(member: IO[bytes]) -> None:
        shape = (len(logits_Khw), height_px, width_px)
        header = {"descr": "<f2", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(member, header)
        for logits_1hw in logits_Khw[:, None]:
            for top in range(0, height_px, tiles.WINDOW_PX):
                rows = slice(top, min(height_px, top + tiles.WINDOW_PX))
                part = tiles.window(logits_1hw, rows, slice(0, width_px), **size)[0]
                member.write(np.exp(part - log_sum[rows]).astype("<f2").tobytes())

    def write_archive(file: IO[bytes]) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, work in (("classes", write_classes), ("probabilities", write_probabilities)):
                # by name: an entry of a ZipInfo would ignore compresslevel. Its time is 1980
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    work(member)

    formats.replace_file(path, write_archive)
