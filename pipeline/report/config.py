"""Section `report` of params.yaml."""

from typing import Annotated

from pydantic import Field

from pipeline.core.config import Frozen

Count = Annotated[int, Field(ge=0)]


class Report(Frozen):
    """How many images the page shows, and how many panels of each kind `dvc plots` shows."""

    images: Count
    best: Count
    worst: Count
    random: Count
