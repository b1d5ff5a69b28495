"""Section `boxes` of params.yaml: labels made from the boxes of the objects to segment."""

from pathlib import Path
from typing import Self

from pydantic import model_validator

from pipeline.core.config import Count, Fraction, Frozen, NoOptions


class BoxI(Frozen):
    """Supervision `box_i`: the share of a box's area that keeps its class. The rest is void."""

    inner_share: Fraction


class GrabCutPlus(Frozen):
    """Supervision `grabcut_plus`: GrabCut runs `runs` times, each time with moved boxes.

    Each side moves by at most `shift` times the width or height of the box. A pixel takes the
    class if at least the share `foreground` of the runs call it object. It is background if fewer
    than the share `background` do, and void in between. A box is void if its class fills less than
    `min_fill` of it.
    """

    iterations: Count
    runs: Count
    shift: Fraction
    foreground: Fraction
    background: Fraction
    min_fill: Fraction

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.foreground < self.background:
            raise ValueError("foreground must be at least as large as background")
        return self


class BoxOptions(Frozen):
    """The options of each supervision by boxes."""

    box: NoOptions
    box_i: BoxI
    grabcut_plus: GrabCutPlus


class BoxRounds(Frozen):
    """Later rounds: the segmenter's output, after the CRF named `crf`, becomes the label.

    A box returns to its first label if the IoU of its segment with the box is below `min_iou`.
    """

    min_iou: Fraction
    crf: str


class Boxes(Frozen):
    """Section `boxes`. `path` is a file in COCO format, or the Annotations folder of VOC."""

    path: Path
    options: BoxOptions
    rounds: BoxRounds
