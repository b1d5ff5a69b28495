"""Sections `crf` and `refine` of params.yaml: named sets of dense-CRF parameters."""

from typing import Annotated

from pydantic import Field

from pipeline.core.config import Frozen, Positive


class Crf(Frozen):
    """A fully connected CRF; `sxy` in px of the full image, `srgb` in grey levels of 255."""

    iterations: Annotated[int, Field(ge=0)]  # 0: no CRF, the unary alone decides
    smooth_w: Annotated[float, Field(ge=0)]
    smooth_sxy: Positive
    bilateral_w: Annotated[float, Field(ge=0)]
    bilateral_sxy: Positive
    bilateral_srgb: Positive


CrfSets = dict[str, Crf]  # section `crf`: named sets to choose from


class Refine(Frozen):
    """The CRF after the segmenter; `crf` names a set of section `crf`."""

    crf: str
