"""The image classifier whose class maps become seeds: trunk, hidden layers, score layer.

Shapes: N images, K classes, M maps per class, C channels, H, W image size in px, h, w map size.
Source: the GAP seeders of Oh et al., CVPR 2017; class activation maps, Zhou et al., CVPR 2016.
"""

from collections.abc import Sequence
from typing import Any, Self

import torch
import torch.nn.functional as F
from pydantic import model_validator
from torch import Tensor, nn

from pipeline.nets import backbones, fully_connected
from pipeline.nets.alignment import Offset
from pipeline.nets.checkpoint import Description, Spec, demand
from pipeline.nets.trunk import Trunk
from pipeline.seeds import roi_pooling
from pipeline.seeds.config import FeatureAttention, Hidden, Pooling, SeedModel, Superpixels
from pipeline.seeds.feature_attention import FEATURE_ATTENTIONS
from pipeline.seeds.pooling import POOLINGS
from pipeline.seeds.ranking import ranking

KIND = "classifier"  # value of `kind` in the description of a saved network

# Hidden layers, each 1024 wide, as (kernel, dilation), and the seeder of the paper that has them.
HIDDEN: dict[str, Sequence[tuple[int, int]]] = {
    "none": (),
    "fc6": ((3, 1),),  # GAP-LowRes, with VGG-16 at stride 16
    "fc6_fc7": ((3, 1), (3, 1)),  # GAP-HighRes, with VGG-16 at stride 8
    "largefov": ((3, 12), (1, 1)),  # GAP-DeepLab, with vgg16_deeplab at stride 8
}


class ClassifierDescription(Description):
    """What a saved classifier is rebuilt from; see `SeedModel`."""

    hidden: Hidden
    superpixels: Superpixels
    feature_attention: str
    feature_attention_options: dict[str, Any]
    pooling: str
    options: dict[str, Any]
    offset_px: Offset = (0, 0)

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        Pooling(pooling=self.pooling, options={self.pooling: self.options})
        kind = self.feature_attention
        FeatureAttention(kind=kind, options={kind: self.feature_attention_options})
        return self


class Classifier(nn.Module):
    """Fully convolutional classifier. Its score layer has no bias: its output is the class maps."""

    def __init__(
        self,
        trunk: Trunk,
        *,
        classes: int,
        hidden: str,
        pooling: str,
        options: dict[str, Any],
        superpixels: int = 0,
        offset_px: Offset = (0, 0),
        feature_attention: str = "none",
        feature_attention_options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        width = trunk.channels[trunk.strides[-1]]
        layers: list[nn.Module] = []
        for kernel, dilation in HIDDEN[hidden]:
            pad = dilation * (kernel // 2)
            conv = nn.Conv2d(width, 1024, kernel, padding=pad, dilation=dilation)
            nn.init.normal_(conv.weight, std=0.005)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
            layers += [conv, nn.ReLU(inplace=True), nn.Dropout(0.5)]
            width = 1024
        self.strides, self.classes, self.superpixels = trunk.strides, classes, superpixels
        self.trunk, self.hidden = trunk, nn.Sequential(*layers)
        self.score = nn.Conv2d(width, classes * options.get("modalities", 1), 1, bias=False)
        nn.init.normal_(self.score.weight, std=0.005)
        self.attend = _attention(width, options["width"]) if pooling == "attention" else None
        layer = FEATURE_ATTENTIONS[feature_attention]
        self.feature_attention = layer(width, classes, feature_attention_options or {})
        self.pooling, self.options = POOLINGS[pooling], options
        self.offset_px = offset_px

    @classmethod
    def from_spec(cls, spec: Spec, *, weights: str = "none") -> Self:
        """Build the classifier that `classifier_spec` describes.

        Args:
            spec: the description.
            weights: the trunk's weights: imagenet, none or a path. GAP-DeepLab takes its fc6 and
                fc7 from them, too.

        Raises:
            UserError: the description is of another kind of network, or a value is wrong.
        """
        plan = demand(spec, KIND, ClassifierDescription)
        trunk = backbones.build(
            plan.backbone, output_stride=plan.output_stride, weights=weights, classify=True
        )
        net = cls(
            trunk,
            classes=len(plan.classes),
            hidden=plan.hidden,
            pooling=plan.pooling,
            options=plan.options,
            superpixels=plan.superpixels,
            offset_px=plan.offset_px,
            feature_attention=plan.feature_attention,
            feature_attention_options=plan.feature_attention_options,
        )
        if plan.hidden == "largefov":
            fully_connected.start_from_vgg16(net.hidden, backbone=plan.backbone, weights=weights)
        return net

    def features(self, image_N3HW: Tensor) -> Tensor:
        """Compute the features (N, C, h, w), which are the input of the score layer."""
        return self.hidden(self.trunk(image_N3HW)[self.trunk.strides[-1]])

    def class_maps(self, features_NChw: Tensor) -> Tensor:
        """Compute class maps (N, K, h, w) from features, before any ReLU.

        The map of a class is the mean of its M maps, times the factor of the feature attention.
        With pooling `attention`, each position is multiplied by its attention weight and by the
        number of positions.
        """
        maps = self.score(features_NChw)
        maps = maps.unflatten(1, (self.classes, -1)).mean(2)
        if self.feature_attention is not None:
            maps = maps * self.feature_attention(features_NChw)
        if self.attend is None:
            return maps
        weight = self.attend(features_NChw).float().flatten(2).softmax(2)
        return maps * (weight * weight.shape[2]).view(len(maps), 1, *maps.shape[2:])

    def forward(self, image_N3HW: Tensor) -> Tensor:
        """Compute the class maps (N, K, h, w) of images, before any ReLU."""
        return self.class_maps(self.features(image_N3HW))

    def logits(self, maps_NKhw: Tensor, image_N3HW: Tensor) -> Tensor:
        """Pool class maps into scores (N, K) with the chosen pooling.

        With superpixels, each superpixel of the image counts as one position. Without superpixels,
        the image is not used.
        """
        maps = maps_NKhw.float()
        if not self.superpixels:
            return self.pooling(maps, **self.options)
        pooled = roi_pooling.pool(maps, image_N3HW, self.superpixels)
        return torch.cat([self.pooling(regions, **self.options) for regions in pooled])

    def scores(self, image_N3HW: Tensor) -> Tensor:
        """Compute the scores (N, K) of images."""
        return self.logits(self(image_N3HW), image_N3HW)


def classifier_spec(seed: SeedModel, classes: list[str]) -> Spec:
    """Describe the classifier of section `seed`. The description is saved with its weights."""
    return {
        "kind": KIND,
        "backbone": seed.backbone,
        "output_stride": seed.output_stride,
        "hidden": seed.hidden,
        "superpixels": seed.superpixels,
        "feature_attention": seed.feature_attention.kind,
        "feature_attention_options": seed.feature_attention.option().model_dump(),
        "pooling": seed.pooling,
        "options": seed.option().model_dump(),
        "classes": classes,
    }


def _attention(channels: int, width: int) -> nn.Module:
    """Build the layers w . tanh(V h), which give one number for each position."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 1), nn.Tanh(), nn.Conv2d(width, 1, 1, bias=False)
    )


def sigmoid(logits_NK: Tensor, tags_NK: Tensor) -> Tensor:
    """Sigmoid cross-entropy: a sum over classes and a mean over images, as Caffe normalises it."""
    return F.binary_cross_entropy_with_logits(logits_NK, tags_NK, reduction="sum") / len(tags_NK)


def soft_margin(logits_NK: Tensor, tags_NK: Tensor) -> Tensor:
    """Sigmoid cross-entropy with a mean over classes. Source: the code of WILDCAT."""
    return F.multilabel_soft_margin_loss(logits_NK, tags_NK)


LOSSES = {"sigmoid": sigmoid, "soft_margin": soft_margin, "ranking": ranking}
