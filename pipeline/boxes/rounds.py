"""Make the labels of a later round from the output of the last round's segmenter and the boxes.

Shapes: C background and the classes of the image's boxes, H, W image size in px, h, w map size.
Labels: 0 background, 1.. classes, 255 void.
Source: Khoreva et al., "Simple Does It", CVPR 2017, section 3 (recalled). The supplement lists
three stages after each round: box enforcing, outliers reset, CRF. Departure: here the CRF runs
before the reset.
"""

import numpy as np

from pipeline.boxes.config import BoxRounds
from pipeline.boxes.grabcut import inside
from pipeline.boxes.labels import ClassBoxes, smaller_last
from pipeline.core.arrays import Float, Mask, UInt8
from pipeline.core.maps import resize
from pipeline.crf.config import Crf
from pipeline.crf.dense import dense_crf, energy_of


def boxed_classes(boxes: ClassBoxes) -> UInt8:
    """Return the labels (C,) that an image may have: background and the classes of its boxes."""
    return np.array([0, *sorted({index for index, _ in boxes})], np.uint8)


def next_label(
    image_HW3: UInt8,
    probability_Chw: Float,
    first_HW: UInt8,
    boxes: ClassBoxes,
    rounds: BoxRounds,
    crf: Crf,
) -> UInt8:
    """Label an image by the last segmenter's output, within the boxes.

    Args:
        image_HW3: RGB image.
        probability_Chw: the segmenter's probabilities of `boxed_classes`.
        first_HW: the label of the first round.
        boxes: the objects of the image.
        rounds: when a box returns to its first label.
        crf: refines the output before it is checked against the boxes.

    Returns:
        Label (H, W).
    """
    height, width = first_HW.shape
    if not boxes:
        return np.zeros_like(first_HW)
    probability = resize(probability_Chw, height_px=height, width_px=width)
    allowed = _allowed(first_HW.shape, boxes)
    marginals = dense_crf(image_HW3, energy_of(np.where(allowed, probability, 0)), crf)
    predicted = boxed_classes(boxes)[np.where(allowed, marginals, -1).argmax(axis=0)]
    return reset(predicted, first_HW, boxes, min_iou=rounds.min_iou)


def _allowed(shape: tuple[int, ...], boxes: ClassBoxes) -> Mask:
    """Return where each label may be (C, H, W): a class in its boxes, background anywhere."""
    allowed = np.zeros((len(boxed_classes(boxes)), *shape), bool)
    allowed[0] = True
    for index, box in boxes:
        allowed[boxed_classes(boxes) == index] |= inside(shape, box)
    return allowed


def reset(predicted_HW: UInt8, first_HW: UInt8, boxes: ClassBoxes, *, min_iou: float) -> UInt8:
    """Take the predicted label in each box, or the first label if the segment is too small.

    The segment of a box is what has its class inside the box. So its IoU with the box is the share
    of the box that it fills. Smaller boxes come last, so a reset of a larger one leaves them alone.

    Returns:
        Label (H, W): background outside the boxes.
    """
    label = np.zeros_like(predicted_HW)
    for index, box in smaller_last(boxes):
        within = inside(label.shape, box)
        fits = (predicted_HW[within] == index).mean() >= min_iou
        label[within] = (predicted_HW if fits else first_HW)[within]
    return label
