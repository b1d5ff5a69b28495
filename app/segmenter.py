"""A trained segmenter in Python: from an image to a mask.

Shapes: H, W image size in px, K classes with the background, h, w logit size.
"""

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from PIL import Image, ImageOps

from app import probabilities
from app.nets import Net, default_crf, load_net, logits_of
from pipeline.core import formats
from pipeline.core.arrays import Float, UInt8
from pipeline.core.errors import UserError
from pipeline.inference import tiles
from pipeline.report import drawing

if TYPE_CHECKING:  # an exported model needs neither torch nor pydantic
    from pipeline.core.config import Infer
    from pipeline.crf.config import Crf

OVERLAY, LABEL, PROBABILITIES = "_overlay.jpg", ".png", ".npz"  # ends of the names of results
STRIP_PX = 256  # rows of an overlay that are drawn at once


def label_of(image_HW3: UInt8, logits_Khw: Float, crf: "Crf | None") -> UInt8:
    """Label each pixel (H, W), through a CRF if one is given; a large image in windows."""
    if crf is None:
        whole_px = tiles.WINDOW_PX + 2 * tiles.MARGIN_PX
        return tiles.label(image_HW3, logits_Khw, _strongest, window_px=whole_px, margin_px=0)
    from pipeline.crf import dense

    return tiles.label(image_HW3, logits_Khw, partial(dense.label_of, crf=crf))


def _strongest(_: UInt8, logits_KHW: Float) -> UInt8:
    return logits_KHW.argmax(axis=0).astype(np.uint8)


def overlay_of(image_HW3: UInt8, label_HW: UInt8) -> UInt8:
    """Colour the labelled pixels of an image, some rows at a time to save memory."""
    out = np.empty_like(image_HW3)
    for top in range(0, len(out), STRIP_PX):
        rows = slice(top, top + STRIP_PX)
        out[rows] = drawing.overlay(image_HW3[rows], label_HW[rows])
    return out


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a segmenter says of one image.

    Args:
        image: the upright RGB image (H, W, 3) uint8.
        label: class indices (H, W) uint8. 0 is the background.
        logits: the network's output (K, h, w) before the softmax, at network stride.
        classes: the K names. `classes[0]` is the background.
    """

    image: UInt8
    label: UInt8
    logits: Float
    classes: tuple[str, ...]

    @cached_property
    def probabilities(self) -> Float:
        """Probabilities (K, H, W) float32, computed when first asked for.

        They are the network's: a CRF changes `label`, but not these.

        >>> prediction = segmenter("photo.png")
        >>> prediction.probabilities.shape == (3, *prediction.label.shape)
        True
        >>> bool(np.allclose(prediction.probabilities.sum(axis=0), 1, atol=1e-5))
        True
        """
        return probabilities.whole(self.logits, *self.label.shape)

    def overlay(self) -> UInt8:
        """Draw the mask over the image: RGB (H, W, 3) uint8.

        >>> prediction = segmenter("photo.png")
        >>> prediction.overlay().shape == prediction.image.shape
        True
        """
        return overlay_of(self.image, self.label)

    def to_coco(self, *, file_name: str = "", image_id: int = 1) -> dict[str, Any]:
        """Return COCO's `images`, `annotations` (run lengths) and `categories` of this image.

        >>> coco = segmenter("photo.png").to_coco(file_name="photo.png")
        >>> [category["name"] for category in coco["categories"]]
        ['cat', 'dog']
        >>> coco["images"]
        [{'id': 1, 'file_name': 'photo.png', 'width': 40, 'height': 30}]
        """
        from app.exports import coco

        height, width = self.label.shape
        indices = [int(index) for index in np.unique(self.label) if index]
        return {
            "images": [{"id": image_id, "file_name": file_name, "width": width, "height": height}],
            "annotations": [
                {"id": i, "image_id": image_id}
                | coco.annotation(index, self.label == index, coco.run_lengths)
                for i, index in enumerate(indices, 1)
            ],
            "categories": [
                {"id": index, "name": name, "supercategory": ""}
                for index, name in enumerate(self.classes)
                if index
            ],
        }

    def save(self, path: str | Path, *, with_probabilities: bool = False) -> None:
        """Write NAME.png (class indices, VOC palette) and NAME_overlay.jpg, as `predict` does.

        Args:
            path: NAME.png.
            with_probabilities: also write NAME.npz: `probabilities` (K, H, W) float16, `classes`.

        Raises:
            UserError: the path does not end in `.png`, or a file cannot be written.

        >>> segmenter("photo.png").save("masks/photo.png")
        >>> sorted(p.name for p in Path("masks").iterdir())
        ['photo.png', 'photo_overlay.jpg']
        """
        path = Path(path)
        if path.suffix != LABEL:
            raise UserError(f"{path}: a mask is a PNG file; give a name that ends in {LABEL}")
        formats.write_image(path.with_name(path.stem + OVERLAY), self.overlay())
        if with_probabilities:
            archive = path.with_name(path.stem + PROBABILITIES)
            probabilities.write(archive, self.logits, *self.label.shape, classes=self.classes)
        formats.write_label(path, self.label)  # last: an image with a label has all its results


@dataclass(frozen=True)
class Segmenter:
    """A trained segmenter, called with one image.

    >>> segmenter = Segmenter.load("model")
    >>> segmenter.classes
    ('background', 'cat', 'dog')
    >>> segmenter("photo.png").label.shape
    (30, 40)
    """

    net: Net

    @classmethod
    def load(cls, path: str | Path, *, options: "Infer | None" = None) -> Self:
        """Load the folder of a trained segmenter, or an exported `*.onnx`, which needs no torch.

        Args:
            path: the folder or the file.
            options: size, scales and flip of a trained one. By default, those of `segment.predict`
                in its project, or in the preset for photographs. An exported model has its own.

        Raises:
            UserError: there is no model, or it is damaged or of another kind.
        """
        return cls(load_net(Path(path), options))

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the class indices. The first is the background."""
        return self.net.classes

    def __call__(
        self,
        image: str | Path | Image.Image | UInt8,
        *,
        crf: "bool | Crf" = False,
        tile_px: int = 0,
    ) -> Prediction:
        """Segment one image.

        Args:
            image: a file, a PIL image, or an array of grey levels: RGB (H, W, 3) or grey (H, W).
            crf: refine the mask by a dense CRF: that of the preset for photographs, or the given.
            tile_px: if above 0, the image keeps its size, and the network sees tiles of this side:
                for small objects in large images. By default, the image is scaled to the network's
                size.

        Raises:
            UserError: the image cannot be read, or the CRF's package is not installed.

        >>> grey = np.zeros((30, 40), np.uint8)
        >>> segmenter(grey).label.dtype
        dtype('uint8')
        """
        pixels = pixels_of(image)
        logits = logits_of(self.net, pixels, tile_px=tile_px)
        chosen = (default_crf() if crf else None) if isinstance(crf, bool) else crf
        return Prediction(pixels, label_of(pixels, logits, chosen), logits, self.classes)


def pixels_of(image: str | Path | Image.Image | UInt8) -> UInt8:
    """Return an image as upright RGB (H, W, 3) uint8.

    Raises:
        UserError: a file cannot be read, or an array or PIL image has other values.
    """
    if isinstance(image, str | Path):
        return formats.read_image(Path(image))
    if isinstance(image, Image.Image):
        if image.mode[0] in "IF":
            raise UserError(f"a PIL image of mode {image.mode}: give the path of its file instead")
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or pixels.shape[2:] in ((3,), (4,))):
        raise UserError(
            f"an array of {pixels.dtype} with the shape {pixels.shape}: give grey levels as uint8, "
            "RGB (H, W, 3) or grey (H, W)"
        )
    return pixels[..., :3] if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
