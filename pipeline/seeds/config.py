"""Section `seed` of params.yaml: the classifier and its class maps."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pipeline.core.config import Choice, Fraction, Frozen, Infer, NoOptions, Trained
from pipeline.seeds.pooling import POOLING_OPTIONS

Hidden = Literal["none", "fc6", "fc6_fc7", "largefov"]
Superpixels = Annotated[int, Field(ge=0)]


class Adl(Frozen):
    """The chance of the drop mask, and the share of the highest attention from which it drops."""

    drop_rate: Fraction
    drop_threshold: Fraction


class FeatureAttention(Choice):
    """Attention under the score layer: one of `feature_attention.FEATURE_ATTENTIONS`."""

    CHOICE, KINDS = "kind", {"none": NoOptions, "adl": Adl, "edam": NoOptions}

    kind: str


class Pooling(Choice):
    """The pooling of the class maps: one of `pooling.POOLINGS`."""

    CHOICE, KINDS = "pooling", POOLING_OPTIONS

    pooling: str


class SeedModel(Pooling, Trained):
    """The classifier whose class maps become the seeds.

    `hidden` is one of `classifier.HIDDEN`. `superpixels` is their number per image; with 0, the
    pooling works on map positions. `balanced` draws images of rare classes more often.
    """

    ELSEWHERE: ClassVar = ("maps",)

    hidden: Hidden
    superpixels: Superpixels
    feature_attention: FeatureAttention
    loss: Literal["sigmoid", "soft_margin", "ranking"]
    balanced: bool


class SeedMaps(Infer):
    """Test-time inference of the classifier.

    `kind` is the kind of maps: the score layer's output, or one of `gradients.KINDS`.
    """

    kind: Literal["class_maps", "gradient", "guided_gradient", "grad_cam"]


class Seed(SeedModel):
    """Section `seed`."""

    maps: SeedMaps
