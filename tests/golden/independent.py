"""The same numbers by other means: plain loops and explicit dense kernels, slow and short."""

import numpy as np
from pydensecrf.densecrf import DenseCRF2D

from pipeline.crf.config import Crf
from tests.golden.pictures import Float, UInt8


def mean_field(energy_KHW: Float, kernel_PP: Float, *, iterations: int) -> Float:
    """Mean-field inference of a fully connected Potts model; `kernel_PP` holds the weights."""
    unary = energy_KHW.reshape(len(energy_KHW), -1).astype(float)
    belief = _softmax(-unary)
    for _ in range(iterations):
        belief = _softmax(-unary + belief @ kernel_PP)
    return belief.reshape(energy_KHW.shape)


def dense_kernel(image_HW3: UInt8, rule: Crf) -> Float:
    """Both Gaussian kernels of Kraehenbuehl & Koltun (P, P), written out.

    Each is normalised on both sides (D^-1/2 K D^-1/2) and holds a pixel's own term, as in the
    authors' code.
    """
    place, colour = _places(image_HW3), image_HW3.reshape(-1, 3).astype(float)
    both = np.hstack([place / rule.bilateral_sxy, colour / rule.bilateral_srgb])
    return rule.smooth_w * _gaussian(place / rule.smooth_sxy) + rule.bilateral_w * _gaussian(both)


def lattice_kernel(image_HW3: UInt8, rule: Crf) -> Float:
    """The kernel (P, P) that pydensecrf's lattice stands for, asked for pixel by pixel.

    Pixel j is sure of label 0 and all others are undecided: one iteration then adds row j of
    the kernel to the difference of the two logits.
    """
    height, width, _ = image_HW3.shape
    sure = np.float32(30)
    rows = []
    for j in range(height * width):
        energy = np.zeros((2, height * width), np.float32)
        energy[1, j] = sure
        field = DenseCRF2D(width, height, 2)
        field.setUnaryEnergy(energy)
        field.addPairwiseGaussian(sxy=rule.smooth_sxy, compat=rule.smooth_w)
        field.addPairwiseBilateral(
            sxy=rule.bilateral_sxy, srgb=rule.bilateral_srgb, compat=rule.bilateral_w,
            rgbim=np.ascontiguousarray(image_HW3),
        )  # fmt: skip
        one, other = np.asarray(field.inference(1), float)
        row = np.log(one) - np.log(np.maximum(other, 1e-37))
        own = np.arange(len(row)) == j
        rows.append(np.where(own, row - sure, row))
    return np.stack(rows)


def _places(image_HW3: UInt8) -> Float:
    y, x = np.mgrid[: image_HW3.shape[0], : image_HW3.shape[1]].reshape(2, -1).astype(float)
    return np.stack([y, x], axis=1)


def _gaussian(features_PF: Float) -> Float:
    squared = ((features_PF[:, None] - features_PF[None]) ** 2).sum(-1)
    kernel = np.exp(-squared / 2)
    root = 1 / np.sqrt(kernel.sum(axis=1))
    return root[:, None] * kernel * root[None]


def _softmax(logits_KP: Float) -> Float:
    shifted = np.exp(logits_KP - logits_KP.max(axis=0))
    return shifted / shifted.sum(axis=0)


def blur(map_HW: Float, sigma_px: float) -> Float:
    """Gaussian blur out to four sigma, mirrored at the border pixel as OpenCV does."""
    radius = round(4 * sigma_px)
    weight = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma_px**2))
    weight /= weight.sum()
    padded = np.pad(map_HW, radius, mode="reflect")
    for axis in (0, 1):
        padded = np.apply_along_axis(np.convolve, axis, padded, weight, mode="valid")
    return padded


def expansion(
    probability_Chw: Float, tags_K: Float, *, decays: tuple[float, float], positions: int
) -> float:
    """SEC's expansion loss of one image: rank pooling with `decays` of tags and background.

    The decays hold for a map of so many `positions`.
    """
    flat = probability_Chw.reshape(len(probability_Chw), -1)
    stretch = positions / flat.shape[1]
    tag, background = (d**stretch for d in decays)
    there = [np.log(_ranked(p, tag)) for p, t in zip(flat[1:], tags_K, strict=True) if t]
    absent = [np.log(1 - p.max()) for p, t in zip(flat[1:], tags_K, strict=True) if not t]
    pooled = [np.mean(part) for part in (there, absent) if part]
    return float(-sum(pooled) - np.log(_ranked(flat[0], background)))


def _ranked(values_P: Float, decay: float) -> float:
    weight = decay ** np.arange(len(values_P))
    return float((np.sort(values_P)[::-1] * weight).sum() / weight.sum())
