"""Class maps and image scores of a tiny classifier, box masks, and saliency maps.

Checked: `test_independent_maps` computes the tiny classifier, the poolings and the bilinear
resizes by loops, and the geodesic distances by relaxing every edge until nothing changes. The box
masks and the denoising round were checked by eye, as the files of values show them as pictures.
Not checked: hidden layer fc6, scores over superpixels, guided gradients.
"""

from typing import Any
from unittest import mock

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from pipeline.core.maps import normalise, resize, strongest
from pipeline.dataset import shapes
from pipeline.guide import rounds
from pipeline.inference import infer
from pipeline.nets.trunk import Trunk
from pipeline.saliency import boxes, training_set
from pipeline.saliency.config import SaliencyClassical
from pipeline.saliency.geodesic import geodesic
from pipeline.seeds import gradients, pooling, roi_pooling
from pipeline.seeds.classifier import Classifier
from tests.golden import pictures
from tests.golden.pictures import Float, UInt8

OPTIONS: dict[str, dict[str, Any]] = {
    "weldon": {"k_max": 0.1, "k_min": 3},
    "wildcat": {"modalities": 2, "k_max": 0.2, "k_min": 0.1, "alpha": 0.7},
    "log_sum_exp": {"sharpness": 5},
    "soft_max_min": {"max_sharpness": 5, "min_sharpness": 3, "alpha": 0.7},
    "attention": {"width": 4},
}
SUPERPIXELS = 6


class TinyTrunk(Trunk):
    """Two convolutions: 3x3 stride 2, then 3x3 stride 2, eight channels each."""

    def __init__(self) -> None:
        stages = [
            nn.Sequential(nn.Conv2d(inside, 8, 3, stride=2, padding=1), nn.ReLU())
            for inside in (3, 8)
        ]
        super().__init__(stages, [2, 4], mean=(120, 110, 100), std=(60, 60, 60))
        self.channels = {2: 8, 4: 8}


def fill(net: nn.Module, *, seed: int) -> None:
    """Set weights from numpy's integers, so that they are the same with any version of torch."""
    rng = np.random.default_rng(seed)
    for _, p in sorted(net.named_parameters()):
        width = np.sqrt(p[0].numel()) if p.ndim > 1 else 4
        drawn = rng.integers(-100, 101, tuple(p.shape)) / (60 * width)
        with torch.no_grad():
            p.copy_(torch.from_numpy(drawn.astype(np.float32)))


def classifier(kind: str = "gap", *, superpixels: int = 0, hidden: str = "none") -> Classifier:
    """Build a classifier of three classes on TinyTrunk, in evaluation mode."""
    net = Classifier(
        TinyTrunk(), classes=3, hidden=hidden, pooling=kind, options=OPTIONS.get(kind, {}),
        superpixels=superpixels,
    )  # fmt: skip
    fill(net, seed=5)
    return net.eval()


def photos() -> Tensor:
    """Paint two images (2, 3, 24, 32)."""
    y, x = np.mgrid[:24, :32]
    labels = [(x > 18).astype(int) + (y > 13), 2 * (np.hypot(y - 10, x - 12) < 7)]
    images = [pictures.painted(label, noise=20, seed=i) for i, label in enumerate(labels)]
    return torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2).copy())


def compute_classifier() -> dict[str, Any]:
    """Class maps, scores under every pooling and over superpixels, other kinds of maps."""
    image, net = photos(), classifier()
    tags = [[0, 2], [1]]
    with torch.no_grad():
        values: dict[str, Any] = {"maps": {"gap": net(image)[0]}, "scores": {}, "kinds": {}}
        for kind in ("wildcat", "attention"):
            values["maps"][kind] = classifier(kind)(image)[1]
        values["maps"]["hidden"] = classifier(hidden="fc6")(image)[0, :1]
        for kind in pooling.POOLINGS:
            values["scores"][kind] = classifier(kind).scores(image)
        values["scores"]["superpixels"] = classifier(superpixels=SUPERPIXELS).scores(image)
    for name, compute in gradients.KINDS.items():
        values["kinds"][name] = compute(net, image, tags)[0, [0, 2]]
    return arrays(values)


def arrays(tree: Any) -> Any:
    """Turn torch tensors into numpy arrays."""
    if isinstance(tree, dict):
        return {k: arrays(v) for k, v in tree.items()}
    return tree.detach().numpy()


def compute_inference() -> dict[str, Any]:
    """Maps merged over two scales with their mirror images, and a foreground probability."""
    net, image = classifier(), photos()
    views = [image, torch.from_numpy(np.ascontiguousarray(image.numpy()[..., ::2, ::2]))]
    with torch.no_grad():
        outputs = list(infer.forward(lambda x, _: net(x), [], views, flip=True))
        return {
            "merged": infer.merge(outputs)[0].numpy(),
            "foreground": infer.foreground([o[0, :2] for o in outputs]).numpy(),
        }


def small_maps() -> Float:
    """Draw maps (3, 3, 4) in eighths, some values negative. The last has no positive value."""
    drawn = np.random.default_rng(6).integers(-8, 17, (3, 3, 4)) / 8
    drawn[2] = -np.abs(drawn[2])
    return drawn.astype(np.float32)


def compute_maps() -> dict[str, Any]:
    """Maps normalised, upsampled and compared; superpixel means; a later round's saliency."""
    maps, tags = small_maps(), np.array([2, 7, 9], np.uint8)
    normal = normalise(maps)
    large = resize(normal, height_px=6, width_px=10)
    value, label = strongest(large, tags)
    photo = photos()[1].numpy().transpose(1, 2, 0).copy()
    foreground = np.arange(12, dtype=np.float32).reshape(3, 4) / 16
    return {
        "normalised": normal,
        "upsampled": large,
        "strongest": {"value": value, "class": label.astype(int)},
        "in superpixels": roi_pooling.flatten(maps[:1], photo, SUPERPIXELS)[0],
        "next saliency": rounds.next_saliency(foreground, large[0]),
    }


def boxed() -> tuple[UInt8, list[tuple[int, int, int, int]]]:
    """Generate a scene of 48 px with two boxes. One and five iterations differ at 57 of its px."""
    scene = list(shapes.boxed(22, size_px=48, random_seed=3))[-1]
    return scene.image, [box for _, box in scene.boxes]


def compute_boxes() -> dict[str, Any]:
    """GrabCut's masks with each fallback, the image that GrabCut gets, and a denoising round.

    GrabCut treats its three channels alike: swapped red and blue changed its mask on none of 1,300
    images. So only the image that it gets shows such a swap.
    """
    image, image_boxes = boxed()
    with mock.patch.object(cv2, "grabCut", wraps=cv2.grabCut) as spy:
        mask = boxes.grabcut(image, image_boxes, iterations=5)
    grabcut_image = spy.call_args.args[0]
    options = {"iterations": 5, "min_fill": 0.5}
    stripes = np.tile(np.arange(48) % 2, (48, 1)).astype(np.uint8)
    (x, y, width, height), _ = image_boxes
    predicted = np.zeros((48, 48), bool)
    predicted[y : y + height, x + 1 : x + width + 3] = True
    return {
        "mask": mask,
        "one iteration": boxes.grabcut(image, image_boxes, iterations=1),
        "box where poorly filled": boxes.masks_from_boxes(
            image, image_boxes, fallback="box", **options
        ),
        "void where poorly filled": boxes.masks_from_boxes(
            image, image_boxes, fallback="ignore", **options
        ),
        "box over the whole image": int(boxes.grabcut(image, [(0, 0, 48, 48)], iterations=1).sum()),
        "red, green, blue of the image": image[::16, ::20].astype(int),
        "blue, green, red that GrabCut is given": grabcut_image[::16, ::20].astype(int),
        "denoised": boxes.denoise(predicted, stripes, image_boxes, min_fill=0.5),
        "scaled": [list(boxes.scaled(box, 0.37)) for box in image_boxes],
    }


def compute_saliency() -> dict[str, Any]:
    """Geodesic saliency of a 24x32 px image, before and after division by its maximum."""
    image = np.ascontiguousarray(photos()[1].numpy().transpose(1, 2, 0))
    saliency = geodesic(image, SaliencyClassical(superpixels=40, compactness=10))
    small, factor = training_set.small(image, long_px=20)
    return {
        "geodesic": saliency,
        "normalised row": normalise(saliency)[12],
        "resized row": resize(saliency, height_px=6, width_px=8)[3],
        "small": {"factor": factor, "pixels": small[::7, ::9].astype(int)},
    }
