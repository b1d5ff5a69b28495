"""Pooling of class maps into image scores.

Shapes: N images, K classes, h, w map size. To add one: a function here, its options model in
`config.POOLING_OPTIONS`, its block under `seed.options` in params.yaml.
"""

from collections.abc import Callable

from torch import Tensor


def gap(maps_NKhw: Tensor) -> Tensor:
    """Global average: every position counts the same.

    Source: Zhou et al., CVPR 2016, section 2: the mean of the map is the logit.
    """
    return maps_NKhw.mean(dim=(2, 3))


POOLINGS: dict[str, Callable[..., Tensor]] = {"gap": gap}
