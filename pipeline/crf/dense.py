"""The fully connected CRF.

Shapes: K labels, H, W image size in px.
Source: Kraehenbuehl & Koltun, NIPS 2011. The package pydensecrf wraps the authors' code.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.core.arrays import Float, UInt8
from pipeline.core.errors import UserError
from pipeline.core.maps import resize

if TYPE_CHECKING:  # masks without a CRF need neither pydantic nor pydensecrf
    from pipeline.crf.config import Crf, CrfSets

# The CRF leaves a label out if its highest probability in the image is below this share of the
# highest probability of any label.
PRESENT = 0.01


def chosen(sets: "CrfSets", name: str) -> "Crf":
    """Look up the set `name` of section `crf`.

    Raises:
        UserError: no set has this name.
    """
    if name not in sets:
        raise UserError(f"params.yaml: crf: no set '{name}'; choose one of {', '.join(sets)}")
    return sets[name]


def field_type() -> Any:
    """Return pydensecrf's class of a CRF over an image.

    Raises:
        UserError: the package is not installed.
    """
    try:
        from pydensecrf.densecrf import DenseCRF2D
    except ImportError as e:
        raise UserError(
            "the CRF needs the package pydensecrf2; type pip install 'guidelabel[crf]', or leave "
            "the CRF out"
        ) from e
    return DenseCRF2D


def dense_crf(image_HW3: UInt8, energy_KHW: Float, crf: "Crf") -> Float:
    """Compute the marginals of the CRF by mean-field inference.

    Args:
        image_HW3: RGB image, 0 to 255, without mean subtraction: uint8 would wrap around.
        energy_KHW: unary energies, any real numbers; a lower energy means a likelier label.
        crf: weights, widths and iterations. A weight of 0 leaves its kernel out. With 0 iterations
            only the unary decides.

    Returns:
        Marginals (K, H, W) that sum to 1 over K.
    """
    count, height, width = energy_KHW.shape
    if crf.iterations == 0:
        return softmax(-energy_KHW.astype(np.float32))
    field = field_type()(width, height, count)
    field.setUnaryEnergy(np.ascontiguousarray(energy_KHW.reshape(count, -1), dtype=np.float32))
    if crf.smooth_w:
        field.addPairwiseGaussian(sxy=crf.smooth_sxy, compat=crf.smooth_w)
    if crf.bilateral_w:
        field.addPairwiseBilateral(
            sxy=crf.bilateral_sxy,
            srgb=crf.bilateral_srgb,
            compat=crf.bilateral_w,
            # pydensecrf refuses read-only arrays
            rgbim=np.require(image_HW3, requirements=["C", "W"]),
        )
    marginals = np.asarray(field.inference(crf.iterations), dtype=np.float32)
    return marginals.reshape(count, height, width)


def energy_of(probability_KHW: Float) -> Float:
    """Unary energies -log p of a network's probabilities, which are clipped to [1e-5, 1]."""
    return -np.log(np.clip(probability_KHW, 1e-5, 1)).astype(np.float32)


def softmax(logits_KHW: Float) -> Float:
    """Probabilities over the first axis."""
    shifted = np.exp(logits_KHW - logits_KHW.max(axis=0, keepdims=True))
    return shifted / shifted.sum(axis=0, keepdims=True)


def label_of(image_HW3: UInt8, logits_Khw: Float, crf: "Crf | None") -> UInt8:
    """Turn logits into labels (H, W) at image size, through a CRF if `crf` is given.

    The unary energies are -log softmax. The CRF skips labels that are unlikely everywhere in the
    image (see `PRESENT`), because its cost grows with the number of labels. On 37 photographs of
    six classes, this changed five pixels in a million.
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
    """Upsample logits to image size, and label each pixel (H, W) with the highest one."""
    full = resize(logits_Khw, height_px=height_px, width_px=width_px)
    return full.argmax(axis=0).astype(np.uint8)
