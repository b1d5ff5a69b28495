"""Sections `crf` and `refine` of params.yaml: named sets of dense-CRF parameters."""

from typing import Annotated

from pydantic import Field

from pipeline.core.config import Frozen, Positive


class Crf(Frozen):
    """One set of parameters: `sxy` in px of the full image, `srgb` in grey levels from 0 to 255."""

    iterations: Annotated[int, Field(ge=0)]  # 0: no CRF, only the unary decides
    smooth_w: Annotated[float, Field(ge=0)]
    smooth_sxy: Positive
    bilateral_w: Annotated[float, Field(ge=0)]
    bilateral_sxy: Positive
    bilateral_srgb: Positive


CrfSets = dict[str, Crf]  # section `crf`: parameter sets by name


class Refine(Frozen):
    """The CRF after the segmenter; `crf` is the name of a set in section `crf`."""

    crf: str
