"""Compute saliency maps with an exported model.

Shapes: H, W image size in px; maps are in [0, 1] after normalisation.
"""

from collections.abc import Callable

import cv2
import numpy as np

from pipeline.core import ranks
from pipeline.core.arrays import Float, UInt8
from pipeline.core.errors import UserError
from pipeline.core.maps import resize
from pipeline.saliency.config import SaliencyOnnx


def onnx_model(options: SaliencyOnnx) -> Callable[[UInt8], Float]:
    """Load an exported model as a function from an image (H, W, 3) to its map (H, W).

    A map has the minimum 0 and the scale of the model's output. The returned function
    raises a UserError if the model does not accept the image size or does not return one map.

    Raises:
        UserError: the file is missing, or onnxruntime cannot read it.
    """
    import onnxruntime

    if not options.file.is_file():
        raise UserError(f"{options.file}: not found; set saliency.options.onnx.file to the model")
    try:
        session = onnxruntime.InferenceSession(options.file, providers=_providers(onnxruntime))
    except Exception as e:  # onnxruntime has no public base class for its errors
        raise UserError(
            f"{options.file}: onnxruntime cannot read the model; export it again ({e})"
        ) from e
    name = session.get_inputs()[0].name

    def saliency_of(image_HW3: UInt8) -> Float:
        size = (options.size_px, options.size_px)
        x = cv2.resize(image_HW3, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        x /= max(float(x.max()), 1e-6) if options.divide_by == "max" else 255
        x = (x - np.array(options.mean, np.float32)) / np.array(options.std, np.float32)
        try:
            out = session.run(None, {name: x.transpose(2, 0, 1)[None].astype(np.float32)})[0]
        except Exception as e:  # see above
            raise UserError(
                f"{options.file}: the model does not accept images of {options.size_px} px; "
                f"correct saliency.options.onnx.size_px ({e})"
            ) from e
        saliency = np.squeeze(out).astype(np.float32)
        if saliency.ndim != 2:
            raise UserError(
                f"{options.file}: the first output has shape {out.shape}, but must be one map; "
                "export the model with the saliency map as its first output"
            )
        return resize(
            saliency - saliency.min(), height_px=image_HW3.shape[0], width_px=image_HW3.shape[1]
        )

    return saliency_of


def _providers(onnxruntime: object) -> list[tuple[str, dict[str, int]]]:
    """The execution providers to use: this rank's GPU if there is one, then the CPU."""
    available = onnxruntime.get_available_providers()  # type: ignore[attr-defined]
    wanted = {"CUDAExecutionProvider": {"device_id": ranks.local()}, "CPUExecutionProvider": {}}
    return [(name, options) for name, options in wanted.items() if name in available]
