"""Class-agnostic foreground maps, and the sets a saliency network learns from.

Shapes: H, W image size in px; maps are in [0, 1].
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra
from skimage.color import rgb2lab
from skimage.segmentation import slic

from pipeline import boxes, formats, ranks
from pipeline.arrays import Float, Int, UInt8
from pipeline.blocks import Crf
from pipeline.choices import BoxMasks, SaliencyClassical, SaliencyNet, SaliencyOnnx
from pipeline.crf import dense_crf, energy_of
from pipeline.errors import UserError
from pipeline.formats import SUFFIXES

MASK_LAYOUTS = (  # our own, ECSSD, DUTS, MSRA10K
    ("images", "masks"),
    ("images", "ground_truth_mask"),
    ("DUTS-TR-Image", "DUTS-TR-Mask"),
    ("Imgs", "Imgs"),
)


def normalise(map_HW: Float) -> Float:
    """Divide by the map's own maximum. Source: released test rule, sal = p_fg / max(p_fg)."""
    top = float(map_HW.max())
    return map_HW / top if top > 0 else map_HW


def resize(map_hw: Float, *, height_px: int, width_px: int) -> Float:
    """Bilinear resize to the image."""
    return cv2.resize(map_hw, (width_px, height_px), interpolation=cv2.INTER_LINEAR)


# --- sources without a network of ours ----------------------------------------------------------


def onnx_model(options: SaliencyOnnx) -> Callable[[UInt8], Float]:
    """An exported model as a function from image (H, W, 3) to map (H, W).

    Raises:
        UserError: no such file, or onnxruntime cannot read it.
    """
    import onnxruntime

    if not options.file.is_file():
        raise UserError(f"{options.file}: not found; set saliency.options.onnx.file to the model")
    try:
        session = onnxruntime.InferenceSession(options.file, providers=_providers(onnxruntime))
    except Exception as e:  # onnxruntime has no public base class for its errors
        raise UserError(f"{options.file}: onnxruntime cannot read it ({e})") from e
    name = session.get_inputs()[0].name

    def of(image_HW3: UInt8) -> Float:
        size = (options.size_px, options.size_px)
        x = cv2.resize(image_HW3, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        x /= max(float(x.max()), 1e-6) if options.divide_by == "max" else 255
        x = (x - np.array(options.mean, np.float32)) / np.array(options.std, np.float32)
        try:
            out = session.run(None, {name: x.transpose(2, 0, 1)[None].astype(np.float32)})[0]
        except Exception as e:  # as above
            raise UserError(
                f"{options.file}: does not take {options.size_px} px images; correct "
                f"saliency.options.onnx.size_px ({e})"
            ) from e
        found = np.squeeze(out).astype(np.float32)
        if found.ndim != 2:
            raise UserError(f"{options.file}: its first output has shape {out.shape}, not one map")
        return resize(
            found - found.min(), height_px=image_HW3.shape[0], width_px=image_HW3.shape[1]
        )

    return of


def _providers(onnxruntime: object) -> list[tuple[str, dict[str, int]]]:
    there = onnxruntime.get_available_providers()  # type: ignore[attr-defined]
    wanted = {"CUDAExecutionProvider": {"device_id": ranks.local()}, "CPUExecutionProvider": {}}
    return [(name, options) for name, options in wanted.items() if name in there]


def geodesic(image_HW3: UInt8, options: SaliencyClassical) -> Float:
    """Saliency as the shortest colour path from a superpixel to the image border.

    Source: Wei et al., ECCV 2012 (geodesic saliency), on SLIC superpixels; edges below the mean
    smallest difference cost nothing, as there.
    """
    lab = rgb2lab(image_HW3)
    ids: Int = slic(
        lab,
        n_segments=options.superpixels,
        compactness=options.compactness,
        convert2lab=False,
        start_label=0,
    )
    count = int(ids.max()) + 1
    area = np.bincount(ids.ravel(), minlength=count)
    total = np.stack([np.bincount(ids.ravel(), lab[..., c].ravel(), count) for c in range(3)], 1)
    mean = total / area[:, None]
    pairs = np.concatenate([_neighbours(ids), _neighbours(ids.T)])
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    cost: Float = np.linalg.norm(mean[pairs[:, 0]] - mean[pairs[:, 1]], axis=1)
    nearest = np.full(count, np.inf)
    np.minimum.at(nearest, pairs.ravel(), np.repeat(cost, 2))
    cost = np.where(cost > nearest[np.isfinite(nearest)].mean(), cost, 0) + 1e-6
    border = np.unique(np.concatenate([ids[0], ids[-1], ids[:, 0], ids[:, -1]]))
    graph = coo_matrix((cost, (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    distance = dijkstra(graph.tocsr(), directed=False, indices=border, min_only=True)
    return distance[ids].astype(np.float32)


def _neighbours(ids: Int) -> Int:
    left, right = ids[:, :-1].ravel(), ids[:, 1:].ravel()
    return np.stack([left, right], axis=1)[left != right]


# --- what a saliency network learns from --------------------------------------------------------


def read_training_set(
    options: SaliencyNet, *, target_classes: Sequence[str]
) -> tuple[list[boxes.Boxed], int]:
    """The images of `options.root`, and how many were left out for holding target classes.

    Masks name no class: there, the ids to leave out stand in ROOT/exclude.txt, one a line.
    """
    if options.train_set == "boxes":
        return boxes.read_boxes(options.root, target_classes=target_classes)
    folder, masks = mask_layout(options.root)
    photos = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in SUFFIXES]
    if folder == masks:  # MSRA10K: NAME.jpg beside NAME.png
        photos = [p for p in photos if p.suffix.lower() != ".png"]
    images = {p.stem: p for p in photos}
    exclude = options.root / "exclude.txt"
    left_out = set(exclude.read_text().split()) if exclude.exists() else set()
    kept = [boxes.Boxed(p, ()) for key, p in images.items() if key not in left_out]
    if not kept:
        raise UserError(f"{folder}: holds no image to learn saliency from")
    return kept, len(images) - len(kept)


def mask_layout(root: Path) -> tuple[Path, Path]:
    """The image folder and the mask folder (NAME.png) of a mask set.

    Raises:
        UserError: none of the known pairs of folders is there.
    """
    for images, masks in MASK_LAYOUTS:
        if (root / images).is_dir() and (root / masks).is_dir():
            return root / images, root / masks
    pairs = ", ".join(f"{a}/ and {b}/" for a, b in MASK_LAYOUTS)
    raise UserError(f"{root}: holds none of these pairs of folders: {pairs}")


def first_label(boxed: boxes.Boxed, options: SaliencyNet) -> UInt8:
    """What a round starts from: GrabCut in the boxes, or the given mask; 0, 1 or void."""
    if options.train_set == "masks":
        return (
            formats.read_label(mask_layout(options.root)[1] / f"{boxed.image.stem}.png") >= 128
        ).astype(np.uint8)
    image, factor = small(formats.read_image(boxed.image), long_px=options.train.size_px)
    rule: BoxMasks = options.box_masks
    return boxes.masks_from_boxes(
        image,
        [boxes.scaled(b, factor) for b in boxed.boxes],
        iterations=rule.iterations,
        min_fill=rule.min_fill,
        fallback=rule.fallback,
    )


def next_label(
    boxed: boxes.Boxed, before_HW: UInt8, probability_hw: Float, options: SaliencyNet, crf: Crf
) -> UInt8:
    """A denoising round: the net's foreground after a CRF, checked against the boxes."""
    image, factor = small(formats.read_image(boxed.image), long_px=options.train.size_px)
    fg = resize(probability_hw, height_px=image.shape[0], width_px=image.shape[1])
    marginals = dense_crf(image, energy_of(np.stack([1 - fg, fg])), crf)
    small_boxes = [boxes.scaled(b, factor) for b in boxed.boxes]
    return boxes.denoise(
        marginals[1] > 0.5, before_HW, small_boxes, min_fill=options.box_masks.min_fill
    )


def small(image_HW3: UInt8, *, long_px: int) -> tuple[UInt8, float]:
    """The image shrunk to a long side of at most `long_px`, and the factor."""
    factor = min(1.0, long_px / max(image_HW3.shape[:2]))
    height, width = (max(1, round(side * factor)) for side in image_HW3.shape[:2])
    return cv2.resize(image_HW3, (width, height), interpolation=cv2.INTER_AREA), factor
