"""Marginals of the dense CRF, and the labels that follow from them.

Checked: `independent.mean_field` computes the same by matrix products. It agrees to 6e-6 if it
uses the kernel that pydensecrf's lattice in fact applies, measured pixel by pixel. With exact
Gaussian kernels, the marginals agree to 0.01 in the mean and the labels at 98 % of the pixels: the
lattice is an approximation, off by 11 to 17 % over all pairs of pixels of these images.
"""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.maps import resize
from pipeline.core.params import read_yaml
from pipeline.crf import dense
from pipeline.crf.config import Crf
from tests.golden import pictures
from tests.golden.pictures import Float

PRESET = Path(__file__).resolve().parents[2] / "presets/shapes.yaml"
IMAGES = {"two_tone": pictures.two_tone, "three_class": pictures.three_class}
UNARIES = {"linear": lambda p: -p, "neglog": dense.energy_of}


def sets() -> dict[str, Crf]:
    """Return the sets of params.yaml, and `unequal`, where smooth width and weight differ."""
    crfs = {k: Crf.model_validate(v) for k, v in read_yaml(PRESET)["crf"].items()}
    changes = {"iterations": 4, "smooth_w": 2, "smooth_sxy": 5, "bilateral_w": 3}
    return crfs | {"unequal": crfs["seed"].model_copy(update=changes)}


def marginals(image: str, unary: str, crf: Crf) -> Float:
    """Compute the marginals (K, H, W) of one of IMAGES."""
    image_HW3, probability = IMAGES[image]()
    return dense.dense_crf(image_HW3, UNARIES[unary](probability), crf)


def compute() -> dict[str, Any]:
    """Marginals by image, set and unary, without the last class: they sum to 1."""
    return {
        image: {
            name: {unary: marginals(image, unary, crf)[:-1] for unary in UNARIES}
            for name, crf in sets().items()
        }
        for image in IMAGES
    }


def compute_labels() -> dict[str, Any]:
    """Labels from logits (5, 6, 8). Class 3 is likely nowhere, so the CRF leaves it out."""
    image, probability = pictures.three_class()
    small = np.log(probability)[:, ::2, ::2]
    unlikely = np.full((1, *small.shape[1:]), -12, np.float32)
    logits = np.concatenate([2 * small, unlikely, small[:1] - 1]).astype(np.float32)
    labels = {name: dense.label_of(image, logits, crf) for name, crf in sets().items()}
    one_class = np.concatenate([logits[:1] + 20, logits[1:]])
    return labels | {
        "no set": dense.label_of(image, logits, None),
        "one class present": dense.label_of(image, one_class, sets()["seed"]),
        "upsampled": resize(logits[:2, :3, :4], height_px=6, width_px=8),
    }
