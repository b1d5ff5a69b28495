"""Networks rewritten so that they compute the same in less time.

Shapes: N batch, C channels, H, W size.
"""

import copy
import itertools

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class Interleaved(nn.Conv2d):
    """A dilated depthwise convolution as a plain one on each of rate x rate interleaved images.

    The result is the same; on a CPU the dilated one is slower, most of all backwards.
    """

    def forward(self, image_NCHW: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape; channels are last in memory."""
        (n, c, height, width), rate = image_NCHW.shape, self.dilation[0]
        x = F.pad(image_NCHW, (0, -width % rate, 0, -height % rate)).permute(0, 2, 3, 1)
        h, w = x.shape[1] // rate, x.shape[2] // rate
        x = x.view(n, h, rate, w, rate, c).permute(2, 4, 0, 1, 3, 5).reshape(-1, h, w, c)
        padding = [(k - 1) // 2 for k in self.kernel_size]
        x = F.conv2d(x.permute(0, 3, 1, 2), self.weight, self.bias, 1, padding, 1, self.groups)
        x = x.permute(0, 2, 3, 1).reshape(rate, rate, n, h, w, c).permute(2, 3, 0, 4, 1, 5)
        x = x.reshape(n, h * rate, w * rate, c).permute(0, 3, 1, 2)
        return x[:, :, :height, :width]


def interleave(net: nn.Module) -> None:
    """Make every dilated depthwise convolution that keeps the size an `Interleaved` one."""
    for layer in net.modules():
        if type(layer) is nn.Conv2d and _dilated_depthwise(layer):
            layer.__class__ = Interleaved  # the same weights under the same names


def _dilated_depthwise(conv: nn.Conv2d) -> bool:
    rate = conv.dilation[0]
    same = tuple(rate * (k - 1) // 2 for k in conv.kernel_size)
    depthwise = conv.groups == conv.in_channels == conv.out_channels > 1
    odd = all(k % 2 for k in conv.kernel_size)
    keeps = odd and conv.stride == (1, 1) and conv.padding == same
    return depthwise and rate > 1 and conv.dilation == (rate, rate) and keeps


def fold(net: nn.Module) -> nn.Module:
    """A copy for test time alone: batch normalisation becomes part of the convolution before it.

    Only where a module registers the two one after the other, and only outside `foreign` networks,
    whose order of use may be another.
    """
    net = copy.deepcopy(net).eval()
    foreign = {id(m) for f in net.modules() if getattr(f, "foreign", False) for m in f.modules()}
    for module in [m for m in net.modules() if id(m) not in foreign]:
        layers = list(module.named_children())
        for (name, conv), (after, norm) in itertools.pairwise(layers):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, name, fuse_conv_bn_eval(conv, norm))
                setattr(module, after, getattr(norm, "act", nn.Identity()))  # timm's have one
    return net
