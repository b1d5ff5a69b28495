"""Make guide labels in one step, for supervisions with saliency of their own.

The stages `fuse` and `diffuse` take two steps, so that a new CRF does not fuse again.
Shapes: K tags of one image; H, W image size in px; h, w map size.
"""

from pipeline.core.arrays import Float, UInt8
from pipeline.core.errors import UserError
from pipeline.crf.config import Crf
from pipeline.guide import diffusion, labels
from pipeline.guide.config import Diffuse, Fuse


def guide_label(
    image_HW3: UInt8,
    maps_Khw: Float,
    classes_K: UInt8,
    saliency_HW: Float,
    fuse: Fuse,
    diffuse: Diffuse,
    crf: Crf,
    *,
    chance: tuple[int, str],
) -> UInt8:
    """Make a guide label (H, W).

    The arguments are those of `labels.fused` and `diffusion.diffuse`.
    """
    fused = labels.fused(maps_Khw, classes_K, saliency_HW, fuse, chance=chance, image_HW3=image_HW3)
    return diffusion.diffuse(image_HW3, fused, diffuse, crf)


def refuse_g1(fuse: Fuse, supervision: str) -> None:
    """Refuse guide rule G1 for a supervision that has saliency of its own.

    Raises:
        UserError: the guide rule is G1, which has no scores of this saliency's components.
    """
    if fuse.rule == "g1":
        raise UserError(
            f"params.yaml: segment.supervision: {supervision} cannot use fuse.rule g1, which has "
            "scores only for the components of saliency.source; remove it, or choose another rule"
        )
