"""Section `report` of params.yaml."""

from typing import Annotated

from pydantic import Field

from pipeline.core.config import Frozen


class Report(Frozen):
    """The number of images of each kind that the report shows."""

    best: Annotated[int, Field(ge=0)]
    worst: Annotated[int, Field(ge=0)]
    random: Annotated[int, Field(ge=0)]
