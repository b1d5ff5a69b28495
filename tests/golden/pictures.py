"""Small images and label boards that the cases share; chance comes from numpy's integers alone."""

import numpy as np
from numpy.typing import NDArray

UInt8 = NDArray[np.uint8]
Float = NDArray[np.float32]

COLOURS = np.array([(180, 90, 70), (70, 100, 170), (90, 160, 60)])


def board(text: str) -> UInt8:
    """An array of the digits in `text`; `.` is 0, `#` is 1."""
    rows = text.split()
    return np.array([[int(c.replace(".", "0").replace("#", "1")) for c in r] for r in rows], "u1")


def painted(label_HW: UInt8, *, noise: int, contrast: float = 1.0, seed: int) -> UInt8:
    """An image with a colour for each label, and grey levels up to `noise` off it."""
    off = np.random.default_rng(seed).integers(-noise, noise + 1, (*label_HW.shape, 3))
    return np.clip(120 + contrast * (COLOURS[label_HW] - 120) + off, 0, 255).astype(np.uint8)


def evidence(label_HW: UInt8, *, classes: int, seed: int) -> Float:
    """Probabilities (K, H, W) that lean to the label and are wrong at many pixels."""
    votes = np.random.default_rng(seed).integers(1, 8, (classes, *label_HW.shape)).astype(float)
    votes += 3 * (np.arange(classes)[:, None, None] == label_HW)
    return (votes / votes.sum(axis=0)).astype(np.float32)


def two_tone() -> tuple[UInt8, Float]:
    """12x16 px, a slanted border between two colours; the image and its evidence (2, H, W)."""
    y, x = np.mgrid[:12, :16]
    label = (x + y // 2 > 9).astype(np.uint8)
    return painted(label, noise=20, contrast=0.3, seed=8), evidence(label, classes=2, seed=8)


def three_class() -> tuple[UInt8, Float]:
    """12x16 px, three fields that meet in a corner; the image and its evidence (3, H, W)."""
    label = np.zeros((12, 16), np.uint8)
    label[:, 7:], label[7:, 3:] = 1, 2
    return painted(label, noise=20, contrast=0.3, seed=5), evidence(label, classes=3, seed=5)
