"""Labels of an image without its tags: the class maps of the classes that a classifier predicts.

Shapes: K predicted classes of one image; N classes of the list; H, W image size in px; h, w map
size.
Source: weakly supervised segmentation in WILDCAT (Durand et al., CVPR 2017), which uses class maps
of predicted classes and a dense CRF at test time. We know no more of that protocol. Our choices are
which classes count as predicted, where the background is, and the CRF's unary energies.
"""

import numpy as np

from pipeline.core.arrays import Float, UInt8
from pipeline.core.maps import normalise, resize
from pipeline.crf import dense
from pipeline.crf.config import Crf

PREDICTED = 0.5  # a class counts as predicted from this probability on


def predicted_classes(probability_N: Float) -> UInt8:
    """Return the indices (K,), from 1, of the predicted classes: at least the most probable one."""
    chosen = probability_N >= PREDICTED
    chosen[probability_N.argmax()] = True
    return (np.flatnonzero(chosen) + 1).astype(np.uint8)


def map_labels(
    image_HW3: UInt8, maps_Khw: Float, classes_K: UInt8, *, threshold: float, crf: Crf
) -> UInt8:
    """Label an image by class maps and a CRF.

    Each map is divided by its own maximum. The background has the value `threshold` everywhere. At
    each pixel, these 1 + K values divided by their sum are the probabilities of the labels, and
    the CRF's unary energy is -log of them. Without a CRF this is the seed rule: the class with the
    highest map, or background where no map exceeds `threshold`.

    Args:
        image_HW3: RGB grey levels from 0 to 255.
        maps_Khw: class maps of the predicted classes.
        classes_K: their class indices, from 1.
        threshold: share of a map's maximum, in [0, 1].
        crf: parameters of the CRF.

    Returns:
        Labels (H, W): a class index, or 0 for the background.
    """
    height, width = image_HW3.shape[:2]
    values_KHW = resize(normalise(maps_Khw), height_px=height, width_px=width)
    background_1HW = np.full((1, height, width), threshold, np.float32)
    values = np.concatenate([background_1HW, values_KHW])
    label_HW = dense.label_of(image_HW3, np.log(np.maximum(values, 1e-5)), crf)
    return np.concatenate([[0], classes_K]).astype(np.uint8)[label_HW]
