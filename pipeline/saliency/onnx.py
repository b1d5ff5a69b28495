"""Saliency maps from an exported model.

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
