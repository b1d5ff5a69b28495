"""The model of the whole params.yaml, built from the `config` module of each package.

Only `app` and `cli.py` use it. A stage loads and validates only its own slice.
"""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from pipeline.boxes.config import Boxes
from pipeline.brought.config import Brought
from pipeline.core.config import Frozen, Net
from pipeline.core.params import read_yaml, validate
from pipeline.crf.config import CrfSets, Refine
from pipeline.dataset.config import Data
from pipeline.guide.config import Diffuse, Fuse, Relabel, Rounds
from pipeline.pretext.config import Pretext
from pipeline.report.config import Report
from pipeline.saliency.config import Saliency, SaliencyNet
from pipeline.seeds.config import Seed
from pipeline.segment.config import Segment


class Params(Frozen):
    """Every number that can change a result."""

    random_seed: Annotated[int, Field(ge=0)]
    data: Data
    pretext: Pretext
    seed: Seed
    saliency: Saliency
    fuse: Fuse
    diffuse: Diffuse
    relabel: Relabel
    rounds: Rounds
    boxes: Boxes
    brought: Brought
    segment: Segment
    refine: Refine
    crf: CrfSets
    report: Report

    @model_validator(mode="after")
    def _check_crf(self) -> Self:
        options = self.saliency.option()
        crf_names = {"diffuse.crf": self.diffuse.crf, "refine.crf": self.refine.crf}
        crf_names["rounds.crf"] = self.rounds.crf
        crf_names["boxes.rounds.crf"] = self.boxes.rounds.crf
        if isinstance(options, SaliencyNet):
            crf_names["saliency.options.net.denoise.crf"] = options.denoise.crf
        for param, name in crf_names.items():
            if name not in self.crf:
                raise ValueError(f"{param}: '{name}' is not one of {', '.join(self.crf)}")
        return self

    @model_validator(mode="after")
    def _check_pretext(self) -> Self:
        for name, net in (("seed", self.seed), ("segment", self.segment)):
            if net.weights == "pretext" and self.pretext.task == "none":
                raise ValueError(
                    f"{name}.weights: pretext needs a trunk; set pretext.task to rotation or simclr"
                )
            if net.weights == "pretext" and _weights_of(net) != _weights_of(self.pretext):
                raise ValueError(
                    f"{name}.weights: pretext trains {self.pretext.backbone}, not {net.backbone}; "
                    f"set pretext.backbone to {net.backbone}"
                )
        options = self.saliency.option()
        if isinstance(options, SaliencyNet) and options.weights == "pretext":
            raise ValueError(
                "saliency.options.net.weights: only seed and segment start from pretext; "
                "give imagenet, none or a path"
            )
        return self


def _weights_of(net: Net | Pretext) -> str:
    """The backbone whose weights fit `net`. Both kinds of VGG-16 have the same."""
    return net.backbone.removesuffix("_deeplab")


def load_params(path: Path) -> Params:
    """Read and validate the whole file.

    Raises:
        UserError: the file is missing, is not YAML, or has a wrong param. The message names it.
    """
    return validate(Params, read_yaml(path), where="")
