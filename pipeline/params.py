"""The whole of params.yaml, composed of the packages' sections. Stages load their slice alone."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from pipeline.core.config import Frozen
from pipeline.core.params import read_yaml, validate
from pipeline.crf.config import CrfSets, Refine
from pipeline.dataset.config import Data
from pipeline.guide.config import Diffuse, Fuse, Relabel
from pipeline.report.config import Report
from pipeline.saliency.config import Saliency, SaliencyNet
from pipeline.seeds.config import Seed
from pipeline.segment.config import Segment


class Params(Frozen):
    """Every number that can change a result."""

    random_seed: Annotated[int, Field(ge=0)]
    shard: Annotated[int, Field(ge=0)]
    data: Data
    seed: Seed
    saliency: Saliency
    fuse: Fuse
    diffuse: Diffuse
    relabel: Relabel
    segment: Segment
    refine: Refine
    crf: CrfSets
    report: Report

    @model_validator(mode="after")
    def _check_crf(self) -> Self:
        net = self.saliency.option()
        named = {"diffuse.crf": self.diffuse.crf, "refine.crf": self.refine.crf}
        if isinstance(net, SaliencyNet):
            named["saliency.options.net.denoise.crf"] = net.denoise.crf
        for param, name in named.items():
            if name not in self.crf:
                raise ValueError(f"{param}: '{name}' is not one of {', '.join(self.crf)}")
        return self


def load_params(path: Path) -> Params:
    """Read and validate the whole file.

    Raises:
        UserError: the file is missing, is not YAML, or holds a wrong param, which is named.
    """
    return validate(Params, read_yaml(path), where="")
