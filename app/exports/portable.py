"""A segmenter as one module with its pre- and post-processing, for other programs.

torch can trace it, and the trace holds for images of any size.

Shapes: H, W image size in px, K classes with the background, h, w logit size.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.core.config import GRID_PX
from pipeline.nets import rewrite
from pipeline.segment.deeplab import DeepLab

NATIVE = 0  # value of long_px for the image's own long side


class Portable(nn.Module):
    """From an upright RGB image (1, H, W, 3) uint8 to its label and its logits.

    The image is resized as at test time (`pipeline.inference.sizes`). Scales other than 1 and the
    mirrored image are left to the caller.
    """

    def __init__(self, net: DeepLab, *, long_px: int) -> None:
        super().__init__()
        self.net = _plain(net)
        self.grid_px = max(GRID_PX, *net.strides)
        self.long_px = long_px

    def forward(self, image_1HW3: Tensor, long_px: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the label (1, H, W) uint8 and the logits (1, K, h, w) float32.

        Args:
            image_1HW3: grey levels 0..255.
            long_px: the long side of the network's input. NATIVE means that of the image. By
                default, it is the number that `__init__` took.
        """
        chosen = torch.tensor(self.long_px) if long_px is None else long_px
        view = self._resize(image_1HW3, chosen)
        logits = self.net(view)
        size = image_1HW3.shape[1], image_1HW3.shape[2]
        full = F.interpolate(logits, size, mode="bilinear", align_corners=False)
        return full.argmax(1).to(torch.uint8), logits

    def _resize(self, image_1HW3: Tensor, long_px: Tensor) -> Tensor:
        """Resize to the network's input (1, 3, h, w): whole grey levels in float32."""
        side = torch._shape_as_tensor(image_1HW3)[1:3]  # a tensor: a trace would keep a number
        long = torch.where(long_px == NATIVE, side.max(), long_px).double()
        cells = torch.round(side * long / side.max() / self.grid_px)
        size = (cells.clamp(min=1) * self.grid_px).long()
        x = image_1HW3.permute(0, 3, 1, 2).float()
        shrinks = size[1] < side[1]  # the width decides for both sides
        rows, columns = (_weights(size[i], side[i], shrinks) for i in (0, 1))
        return torch.round(rows @ x @ columns.T)


def _weights(out: Tensor, size: Tensor, shrinks: Tensor) -> Tensor:
    """Return the weights (out, size) that resize one side: area means if `shrinks`, else linear.

    OpenCV's INTER_AREA and INTER_LINEAR are such matrices. Every runtime can multiply them, while
    a resizing by areas is an operation of few.
    """
    step = size / out
    i, j = _count(out)[:, None], _count(size)[None]
    low, high = torch.maximum(i * step, j), torch.minimum((i + 1) * step, j + 1)
    area = (high - low).clamp(min=0) / step
    centre = ((i + 0.5) * step - 0.5).clamp(min=0).minimum(size - 1)
    linear = (1 - (centre - j).abs()).clamp(min=0)
    return torch.where(shrinks, area, linear).float()


def _count(number: Tensor) -> Tensor:
    return torch.arange(number)  # type: ignore[call-overload]  # an int would freeze the trace


class Padded(nn.Conv2d):
    """TensorFlow's "same" padding for maps whose sides are multiples of the stride.

    timm computes the padding from the size of each map. For such maps it is constant.
    """

    def forward(self, map_NCHW: Tensor) -> Tensor:
        """Convolve (N, C, H, W)."""
        padding: list[int] = []
        for k, rate, stride in zip(self.kernel_size, self.dilation, self.stride, strict=True):
            both = max(rate * (k - 1) + 1 - stride, 0)
            padding[:0] = [both // 2, both - both // 2]  # F.pad takes the last side first
        x = F.pad(map_NCHW, padding)
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def _plain(net: nn.Module) -> nn.Module:
    """Copy a network for test time, with plain convolutions that a trace can hold."""
    from timm.layers import Conv2dSame

    net = rewrite.fold(net).cpu()
    for layer in net.modules():
        if type(layer) is Conv2dSame:
            layer.__class__ = Padded  # keeps the weights and their names
        elif type(layer) is rewrite.Interleaved:
            layer.__class__ = nn.Conv2d  # type: ignore[assignment]
    return net.requires_grad_(False)
