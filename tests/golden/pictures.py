"""Small images and label boards that the cases share. Noise comes from numpy's random integers."""

import numpy as np
from numpy.typing import NDArray

UInt8 = NDArray[np.uint8]
Float = NDArray[np.float32]

COLOURS = np.array([(180, 90, 70), (70, 100, 170), (90, 160, 60)])


def board(text: str) -> UInt8:
    """Read an array from the digits in `text`; `.` is 0 and `#` is 1."""
    rows = text.split()
    return np.array([[int(c.replace(".", "0").replace("#", "1")) for c in r] for r in rows], "u1")


def painted(label_HW: UInt8, *, noise: int, contrast: float = 1.0, seed: int) -> UInt8:
    """Paint each label in its colour, and add noise of up to `noise` grey levels."""
    errors = np.random.default_rng(seed).integers(-noise, noise + 1, (*label_HW.shape, 3))
    return np.clip(120 + contrast * (COLOURS[label_HW] - 120) + errors, 0, 255).astype(np.uint8)


def evidence(label_HW: UInt8, *, classes: int, seed: int) -> Float:
    """Draw probabilities (K, H, W) that favour the label, but not at every pixel."""
    votes = np.random.default_rng(seed).integers(1, 8, (classes, *label_HW.shape)).astype(float)
    votes += 3 * (np.arange(classes)[:, None, None] == label_HW)
    return (votes / votes.sum(axis=0)).astype(np.float32)


def two_tone() -> tuple[UInt8, Float]:
    """Paint 12x16 px in two colours with a slanted border; add its evidence (2, H, W)."""
    y, x = np.mgrid[:12, :16]
    label = (x + y // 2 > 9).astype(np.uint8)
    return painted(label, noise=20, contrast=0.3, seed=8), evidence(label, classes=2, seed=8)


def three_class() -> tuple[UInt8, Float]:
    """Paint 12x16 px in three colours that meet in a corner; add its evidence (3, H, W)."""
    label = np.zeros((12, 16), np.uint8)
    label[:, 7:], label[7:, 3:] = 1, 2
    return painted(label, noise=20, contrast=0.3, seed=5), evidence(label, classes=3, seed=5)
