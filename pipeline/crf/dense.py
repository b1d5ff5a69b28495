"""The fully connected CRF.

Shapes: K labels, H, W image size in px.
Source: Kraehenbuehl & Koltun, NIPS 2011, through pydensecrf (the authors' code).
"""

import numpy as np
from pydensecrf.densecrf import DenseCRF2D

from pipeline.core.arrays import Float, UInt8
from pipeline.core.errors import UserError
from pipeline.core.maps import resize
from pipeline.crf.config import Crf, CrfSets

PRESENT = 0.01  # of the highest probability: a label that is nowhere likelier takes no part


def chosen(sets: CrfSets, name: str) -> Crf:
    """The set `name` of section `crf`.

    Raises:
        UserError: there is none of that name.
    """
    if name not in sets:
        raise UserError(f"params.yaml: crf: no set '{name}'; there are {', '.join(sets)}")
    return sets[name]


def dense_crf(image_HW3: UInt8, energy_KHW: Float, crf: Crf) -> Float:
    """Mean-field inference.

    Args:
        image_HW3: RGB grey levels as they are; a mean-subtracted image would wrap in uint8.
        energy_KHW: unary energies, any real numbers; the lower, the likelier.
        crf: weights, widths and iterations. A weight of 0 leaves its kernel out; with 0 iterations
            the unary alone decides.

    Returns:
        Marginals (K, H, W) that sum to 1 over K.
    """
    count, height, width = energy_KHW.shape
    if crf.iterations == 0:
        return softmax(-energy_KHW.astype(np.float32))
    field = DenseCRF2D(width, height, count)
    field.setUnaryEnergy(np.ascontiguousarray(energy_KHW.reshape(count, -1), dtype=np.float32))
    if crf.smooth_w:
        field.addPairwiseGaussian(sxy=crf.smooth_sxy, compat=crf.smooth_w)
    if crf.bilateral_w:
        field.addPairwiseBilateral(
            sxy=crf.bilateral_sxy,
            srgb=crf.bilateral_srgb,
            compat=crf.bilateral_w,
            rgbim=np.require(image_HW3, requirements=["C", "W"]),  # it refuses read-only arrays
        )
    marginals = np.asarray(field.inference(crf.iterations), dtype=np.float32)
    return marginals.reshape(count, height, width)


def energy_of(probability_KHW: Float) -> Float:
    """Unary energies -log p, for probabilities out of a network."""
    return -np.log(np.clip(probability_KHW, 1e-5, 1)).astype(np.float32)


def softmax(logits_KHW: Float) -> Float:
    """Probabilities over the first axis."""
    shifted = np.exp(logits_KHW - logits_KHW.max(axis=0, keepdims=True))
    return shifted / shifted.sum(axis=0, keepdims=True)


def label_of(image_HW3: UInt8, logits_Khw: Float, crf: Crf | None) -> UInt8:
    """Labels (H, W) at image size; with `crf` after the CRF on -log softmax.

    Labels below `PRESENT` everywhere in the image are left out of the CRF: its cost grows with
    their number, and on photographs five pixels of a million come out otherwise.
    """
    height, width = image_HW3.shape[:2]
    if crf is None or crf.iterations == 0:
        return argmax(logits_Khw, height_px=height, width_px=width)
    full = softmax(resize(logits_Khw, height_px=height, width_px=width))
    highest = full.max(axis=(1, 2))
    present = np.flatnonzero(highest >= PRESENT * highest.max()).astype(np.uint8)
    if len(present) == 1:
        return np.full((height, width), present[0])
    return present[dense_crf(image_HW3, energy_of(full[present]), crf).argmax(axis=0)]


def argmax(logits_Khw: Float, *, height_px: int, width_px: int) -> UInt8:
    """Labels (H, W): the highest of the upsampled logits."""
    full = resize(logits_Khw, height_px=height_px, width_px=width_px)
    return full.argmax(axis=0).astype(np.uint8)
