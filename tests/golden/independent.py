"""Other ways to compute the same numbers: short and slow, by loops and explicit dense kernels."""

import numpy as np
from pydensecrf.densecrf import DenseCRF2D

from pipeline.crf.config import Crf
from tests.golden.pictures import Float, UInt8


def mean_field(energy_KHW: Float, kernel_PP: Float, *, iterations: int) -> Float:
    """Run mean-field inference of a fully connected Potts model with the weights `kernel_PP`."""
    unary = energy_KHW.reshape(len(energy_KHW), -1).astype(float)
    belief = _softmax(-unary)
    for _ in range(iterations):
        belief = _softmax(-unary + belief @ kernel_PP)
    return belief.reshape(energy_KHW.shape)


def dense_kernel(image_HW3: UInt8, crf: Crf) -> Float:
    """Compute the sum of both Gaussian kernels of Kraehenbuehl & Koltun (P, P), exactly.

    Each is normalised on both sides (D^-1/2 K D^-1/2) and includes a pixel's own term, as in the
    authors' code.
    """
    place, colour = _places(image_HW3), image_HW3.reshape(-1, 3).astype(float)
    features = np.hstack([place / crf.bilateral_sxy, colour / crf.bilateral_srgb])
    smooth = crf.smooth_w * _gaussian(place / crf.smooth_sxy)
    return smooth + crf.bilateral_w * _gaussian(features)


def lattice_kernel(image_HW3: UInt8, crf: Crf) -> Float:
    """Measure the kernel (P, P) that pydensecrf's lattice applies, pixel by pixel.

    Pixel j is certain of label 0, and all other pixels are undecided. Then one iteration adds row
    j of the kernel to the difference of the two logits.
    """
    height, width, _ = image_HW3.shape
    certain = np.float32(30)
    rows = []
    for j in range(height * width):
        energy = np.zeros((2, height * width), np.float32)
        energy[1, j] = certain
        field = DenseCRF2D(width, height, 2)
        field.setUnaryEnergy(energy)
        field.addPairwiseGaussian(sxy=crf.smooth_sxy, compat=crf.smooth_w)
        field.addPairwiseBilateral(
            sxy=crf.bilateral_sxy, srgb=crf.bilateral_srgb, compat=crf.bilateral_w,
            rgbim=np.ascontiguousarray(image_HW3),
        )  # fmt: skip
        first, second = np.asarray(field.inference(1), float)
        row = np.log(first) - np.log(np.maximum(second, 1e-37))
        is_j = np.arange(len(row)) == j
        rows.append(np.where(is_j, row - certain, row))
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
    """Blur by a Gaussian of radius four sigma. The border is mirrored, as OpenCV does it."""
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
    """Compute SEC's expansion loss of one image, by rank pooling.

    Args:
        probability_Chw: probabilities of the background and the classes.
        tags_K: 1 for each tag of the image, else 0.
        decays: the decay of tags and that of the background, for a map of `positions`.
        positions: see `decays`.
    """
    flat = probability_Chw.reshape(len(probability_Chw), -1)
    stretch = positions / flat.shape[1]
    tag, background = (d**stretch for d in decays)
    present = [np.log(_ranked(p, tag)) for p, t in zip(flat[1:], tags_K, strict=True) if t]
    absent = [np.log(1 - p.max()) for p, t in zip(flat[1:], tags_K, strict=True) if not t]
    pooled = [np.mean(part) for part in (present, absent) if part]
    return float(-sum(pooled) - np.log(_ranked(flat[0], background)))


def _ranked(values_P: Float, decay: float) -> float:
    weight = decay ** np.arange(len(values_P))
    return float((np.sort(values_P)[::-1] * weight).sum() / weight.sum())
