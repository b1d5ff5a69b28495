"""Marginals of the dense CRF, and the labels that follow from them.

Checked: `independent.mean_field` computes the same by matrix products. With the kernel that
pydensecrf's lattice stands for, read off pixel by pixel, the two agree to 6e-6. With the exact
Gaussians they agree to 0.01 in the mean, and at 98 % of the pixels in the label: the lattice is an
approximation, off by 11 to 17 % over all pairs of pixels of these images.
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
    """Those of params.yaml, and one whose smooth width differs from its weight."""
    found = {k: Crf.model_validate(v) for k, v in read_yaml(PRESET)["crf"].items()}
    other = {"iterations": 4, "smooth_w": 2, "smooth_sxy": 5, "bilateral_w": 3}
    return found | {"unequal": found["seed"].model_copy(update=other)}


def marginals(image: str, unary: str, chosen: Crf) -> Float:
    """(K, H, W) of one of IMAGES."""
    image_HW3, probability = IMAGES[image]()
    return dense.dense_crf(image_HW3, UNARIES[unary](probability), chosen)


def compute() -> dict[str, Any]:
    """By image, set and unary; the last class is left out, since marginals sum to 1."""
    return {
        image: {
            name: {unary: marginals(image, unary, chosen)[:-1] for unary in UNARIES}
            for name, chosen in sets().items()
        }
        for image in IMAGES
    }


def compute_labels() -> dict[str, Any]:
    """Labels out of logits (5, 6, 8): class 3 is nowhere likely, so it takes no part in the CRF."""
    image, probability = pictures.three_class()
    small = np.log(probability)[:, ::2, ::2]
    nowhere = np.full((1, *small.shape[1:]), -12, np.float32)
    logits = np.concatenate([2 * small, nowhere, small[:1] - 1]).astype(np.float32)
    found = {name: dense.label_of(image, logits, chosen) for name, chosen in sets().items()}
    alone = np.concatenate([logits[:1] + 20, logits[1:]])
    return found | {
        "no set": dense.label_of(image, logits, None),
        "one class present": dense.label_of(image, alone, sets()["seed"]),
        "upsampled": resize(logits[:2, :3, :4], height_px=6, width_px=8),
    }
