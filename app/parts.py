"""Parts of the method in Python: class maps of an image, a fused image, the CRF.

Shapes: H, W image size in px, K classes, h, w size of class maps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from PIL import Image

from app.nets import default_crf, preset
from app.segmenter import pixels_of
from pipeline.core.arrays import Float, UInt8
from pipeline.core.errors import UserError

if TYPE_CHECKING:
    from pipeline.crf.config import Crf
    from pipeline.guide.config import Fuse
    from pipeline.seeds.config import SeedMaps


@dataclass(frozen=True, eq=False)
class ClassMaps:
    """Where a classifier sees each class.

    Args:
        maps: class maps (K, h, w) float32, 0 and above.
        probability: of each class (K,), in [0, 1].
        classes: the K names, without the background. Class k has index 1 + k in labels.
    """

    maps: Float
    probability: Float
    classes: tuple[str, ...]

    def of(self, tags: Sequence[str]) -> tuple[Float, UInt8]:
        """Return the maps of some classes, and their indices in labels.

        Raises:
            UserError: a tag is not one of the classes.
        """
        if unknown := [tag for tag in tags if tag not in self.classes]:
            known = ", ".join(self.classes)
            raise UserError(f"'{unknown[0]}': not one of the classes {known}; correct the tag")
        chosen = [self.classes.index(tag) for tag in tags]
        return self.maps[chosen], np.array(chosen, np.uint8) + np.uint8(1)


@dataclass(frozen=True)
class Classifier:
    """A trained image classifier, called with one image.

    >>> seen = Classifier.load("classifier")("photo.png")
    >>> seen.classes, len(seen.maps), seen.probability.shape
    (('cat', 'dog'), 2, (2,))
    """

    classes: tuple[str, ...]
    options: "SeedMaps"
    net: Any

    @classmethod
    def load(cls, path: str | Path, *, options: "SeedMaps | None" = None) -> Self:
        """Load the folder of a trained classifier.

        Args:
            path: the folder, such as `data/models/seed`.
            options: size, scales and flip; by default, those of the preset for photographs.

        Raises:
            UserError: no classifier was trained there, or it is damaged or of another kind.
        """
        from pipeline.core.params import section
        from pipeline.nets import checkpoint
        from pipeline.seeds import classifier
        from pipeline.seeds.config import SeedMaps

        net, spec = checkpoint.load(Path(path), classifier.Classifier.from_spec)
        options = options or section(preset(), "seed.maps", SeedMaps)
        return cls(tuple(spec["classes"]), options, net.eval())

    def __call__(self, image: str | Path | Image.Image | UInt8) -> ClassMaps:
        """Compute the class maps of one image.

        Raises:
            UserError: the image cannot be read.
        """
        import torch

        from pipeline.core import runtime
        from pipeline.core.config import GRID_PX
        from pipeline.inference import infer, sizes
        from pipeline.seeds.tag_scores import tag_probability

        pixels, options, net = pixels_of(image), self.options, self.net.to(runtime.device())
        grid_px = max((GRID_PX, *net.strides))
        size = sizes.base_size(*pixels.shape[:2], size_px=options.size_px, stride=grid_px)
        views = [
            torch.from_numpy(view.transpose(2, 0, 1))[None]
            for view in sizes.views(pixels, size, options.scales, stride=grid_px)
        ]
        with torch.inference_mode():
            outputs = infer.forward(
                lambda images, _: net(images), [], views, flip=options.flip, offset_px=net.offset_px
            )
            maps = [output.cpu() for output in outputs]
            net.cpu()
            scores = tag_probability(net, [m[0] for m in maps], options.scales, pixels)
            merged = infer.merge([m.relu() for m in maps])[0]
        return ClassMaps(merged.numpy(), scores.numpy(), self.classes)


def fuse(
    seen: ClassMaps,
    saliency_HW: Float,
    tags: Sequence[str],
    *,
    options: "Fuse | None" = None,
) -> UInt8:
    """Fuse class maps and a saliency map into a label (H, W), before the CRF.

    Args:
        seen: the class maps of an image.
        saliency_HW: saliency in [0, 1] at image size.
        tags: what the image shows.
        options: section `fuse` of params.yaml; by default, that of the preset for photographs.

    Returns:
        Class indices; 254 where several tags claim a salient region.

    >>> cat = np.zeros((2, 3, 4), np.float32)
    >>> cat[0, :, :2] = 1
    >>> seen = ClassMaps(cat, np.array([0.9, 0.1]), ("cat", "dog"))
    >>> salient = np.zeros((30, 40))
    >>> salient[:, :20] = 1
    >>> np.unique(fuse(seen, salient, ["cat"])).tolist()
    [0, 1]
    """
    from pipeline.core.params import section
    from pipeline.guide import labels
    from pipeline.guide.config import Fuse

    options = options or section(preset(), "fuse", Fuse)
    maps, indices = seen.of(tags)
    return labels.fused(maps, indices, saliency_HW, options, chance=(0, "")).label_HW


def refine(
    image: str | Path | Image.Image | UInt8, probability_KHW: Float, *, crf: "Crf | None" = None
) -> Float:
    """Refine probabilities (K, H, W) by the dense CRF.

    Args:
        image: the image.
        probability_KHW: probabilities at image size, such as `Prediction.probabilities`.
        crf: its parameters; by default, those of the preset for photographs.

    Returns:
        Marginals (K, H, W), which sum to 1 over K.

    Raises:
        UserError: the image cannot be read, or the CRF's package is not installed.

    >>> image = np.zeros((6, 8, 3), np.uint8)
    >>> refine(image, np.full((2, 6, 8), 0.5, np.float32)).shape
    (2, 6, 8)
    """
    from pipeline.crf import dense

    energy = dense.energy_of(probability_KHW)
    return dense.dense_crf(pixels_of(image), energy, crf or default_crf())
