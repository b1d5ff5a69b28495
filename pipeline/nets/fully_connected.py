"""fc6 and fc7 of DeepLab v1, cut out of the fully connected layers of VGG-16.

Shapes of weights: O outputs, I inputs, kernel height and width.
Source: Chen et al., DeepLab v1 (ICLR 2015), section 3.1: "simple decimation" of the first fully
connected layer to 3x3, and 1024 outputs for LargeFOV. Oh et al., CVPR 2017, start the segmenter and
GAP-DeepLab from such a file, `VGG_ILSVRC_16_layers-deeplab`. The numbers are not changed otherwise.
Which 3 of 7 rows and columns are kept, and which outputs, is recalled from the reduced VGG-16 of
SSD, whose authors followed DeepLab: rows and columns 0, 3 and 6, every fourth output of fc6 and
fc7, and of fc7 the inputs that fc6 kept. The dilation agrees: at stride 32 these three lie 3 cells
apart, which are 12 cells at stride 8.
"""

from torch import Tensor, nn

from pipeline.core import runtime
from pipeline.core.errors import UserError
from pipeline.nets import backbones
from pipeline.nets.weights import StateDict

STEP_OUTPUTS, STEP_TAPS = 4, 3  # of 4096 outputs and of 7x7 taps
VGG = ("vgg16", "vgg16_deeplab")  # the trunks whose weights files may hold fc6 and fc7
FC6, FC7 = "classifier.0", "classifier.3"  # torchvision's names


def decimate_fc6(weight_OI: Tensor) -> Tensor:
    """Cut a convolution of 3x3 out of fc6: (O, I * 49) to (O / 4, I, 3, 3).

    torchvision flattens the last feature map by channel, row and column, as Caffe does.
    """
    return weight_OI.reshape(len(weight_OI), -1, 7, 7)[::STEP_OUTPUTS, :, ::STEP_TAPS, ::STEP_TAPS]


def decimate_fc7(weight_OI: Tensor) -> Tensor:
    """Cut a convolution of 1x1 out of fc7: (O, I) to (O / 4, I / 4, 1, 1)."""
    return weight_OI[::STEP_OUTPUTS, ::STEP_OUTPUTS, None, None]


def load_decimated(fc6: nn.Conv2d, fc7: nn.Conv2d, state: StateDict, *, weights: str) -> None:
    """Load the decimated layers of a whole VGG-16 into two convolutions, as float32.

    Args:
        fc6: the convolution of 3x3 from 512 to 1024 channels.
        fc7: the convolution of 1x1 from 1024 to 1024 channels.
        state: a state dict with torchvision's names.
        weights: where `state` comes from, for the error message.

    Raises:
        UserError: a tensor is missing, or has another shape.
    """
    for conv, name, decimate, shape in (
        (fc6, FC6, decimate_fc6, (4096, 25088)),
        (fc7, FC7, decimate_fc7, (4096, 4096)),
    ):
        weight, bias = state.get(f"{name}.weight"), state.get(f"{name}.bias")
        if weight is None or bias is None or weight.shape != shape or bias.shape != shape[:1]:
            raise UserError(
                f"{weights}: '{name}.weight' or '{name}.bias' is missing or has another shape than "
                "in torchvision's vgg16; give its whole state dict, or one of the features alone"
            )
        conv.weight.data.copy_(decimate(weight))
        conv.bias.data.copy_(bias[::STEP_OUTPUTS])  # type: ignore[union-attr]


def start_from_vgg16(hidden: nn.Sequential, *, backbone: str, weights: str) -> None:
    """Start fc6 and fc7 from the weights of VGG-16, if the trunk is one and the weights have them.

    Where the weights hold convolutions alone, both stay random, and a line says so.

    Args:
        hidden: fc6, ReLU, dropout, fc7 and what follows.
        backbone: the trunk's name. Under other trunks than VGG-16, the layers stay random.
        weights: imagenet, none or a path, as of the trunk.

    Raises:
        UserError: the weights hold these layers only in part, or with other shapes.
    """
    if backbone not in VGG or weights == "none":
        return
    state = backbones.vgg16_weights(weights)
    if not any(name.startswith("classifier.") for name in state):
        runtime.say(
            f"{weights}: holds no fc6 and fc7, so these layers start from random numbers; for the "
            "paper's start, give the whole state dict of torchvision's vgg16, or 'imagenet'"
        )
        return
    fc6, fc7 = (layer for layer in hidden if isinstance(layer, nn.Conv2d))
    load_decimated(fc6, fc7, state, weights=weights)
