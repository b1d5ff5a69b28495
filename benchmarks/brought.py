"""`python -m benchmarks.brought FOLDER`: make masks as another tool might bring them.

They come from the true masks. Each object is smaller than the true one by some px, and a tenth of
the images have the mask of another image. Run it after `python cli.py run prepare`. Then train:

    python -m benchmarks.brought data/raw/brought
    python cli.py run -S "segment.supervision=[guide,brought]"
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from pipeline.core import formats
from pipeline.core.arrays import VOID, UInt8
from pipeline.core.layout import Layout
from pipeline.core.samples import read_truth


def erode(label_HW: UInt8, *, width_px: int) -> UInt8:
    """Take a rim of `width_px` from every region of a class; it becomes background. Void stays."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, [2 * width_px + 1] * 2)
    out = np.where(label_HW == VOID, VOID, 0).astype(np.uint8)
    for index in set(np.unique(label_HW).tolist()) - {0, VOID}:
        out[cv2.erode((label_HW == index).astype(np.uint8), kernel) > 0] = index
    return out


def swapped(ids: list[str], *, share: float) -> dict[str, str]:
    """Draw a share of the images, two or more, and give each the id of the next one drawn."""
    ordered = sorted(ids)
    count = max(2, round(share * len(ordered))) if share else 0
    drawn = [ordered[i] for i in np.random.default_rng(0).permutation(len(ordered))[:count]]
    return dict(zip(drawn, drawn[1:] + drawn[:1], strict=True))


def write(layout: Layout, folder: Path, *, width_px: int, share: float) -> dict[str, str]:
    """Write FOLDER/ID.png for each image with a true mask; return whose mask the others have."""
    truth = read_truth(layout.truth)
    other = swapped([*truth], share=share)
    for key, path in truth.items():
        own = formats.read_label(path)
        label = formats.read_label(truth[other.get(key, key)])
        size = (own.shape[1], own.shape[0])
        label = cv2.resize(label, size, interpolation=cv2.INTER_NEAREST)
        formats.write_label(folder / f"{key}.png", erode(label, width_px=width_px))
    return other


def main() -> None:
    """Write the masks, and say what was done to them."""
    parser = argparse.ArgumentParser(description="Make brought masks from the true ones.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--erode", type=int, default=5, metavar="PX")
    parser.add_argument("--swapped", type=float, default=0.1, metavar="SHARE")
    asked = parser.parse_args()
    layout = Layout()
    other = write(layout, asked.folder, width_px=asked.erode, share=asked.swapped)
    count = len(read_truth(layout.truth))
    print(f"{asked.folder}: {count} masks, eroded by {asked.erode} px, {len(other)} swapped")


if __name__ == "__main__":
    main()
