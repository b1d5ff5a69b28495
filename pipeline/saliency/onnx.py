"""Compute saliency maps with an exported model.

Shapes: H, W image size in px; maps are in [0, 1] after normalisation.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from pipeline.core.arrays import Float, UInt8
from pipeline.core.errors import UserError
from pipeline.core.maps import resize
from pipeline.saliency.config import SaliencyOnnx


def onnx_model(options: SaliencyOnnx) -> Callable[[UInt8], Float]:
    """Load an exported model as a function from an image (H, W, 3) to its map (H, W).

    A map has the minimum 0 and the scale of the model's output. The returned function
    raises a UserError if the model does not accept the image or does not return one map of finite
    numbers.

    Raises:
        UserError: the file is missing, onnxruntime cannot read it, or the model's input is not one
            image.
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
    name = _input_name(options, session.get_inputs())

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
        saliency = _one_map(options, out)
        return resize(
            saliency - saliency.min(), height_px=image_HW3.shape[0], width_px=image_HW3.shape[1]
        )

    return saliency_of


def _input_name(options: SaliencyOnnx, inputs: list[Any]) -> str:
    """Return the name of the model's input.

    Raises:
        UserError: the model has not one input, or it does not take float images of `size_px`.
    """
    if len(inputs) != 1:
        raise UserError(
            f"{options.file}: the model has {len(inputs)} inputs, but must have one, the image; "
            "export it again"
        )
    if inputs[0].type != "tensor(float)":
        raise UserError(
            f"{options.file}: the model's input is {inputs[0].type}, but must be tensor(float); "
            "export it again with an input of 32-bit floats"
        )
    shape, wanted = inputs[0].shape, (1, 3, options.size_px, options.size_px)
    fits = all(n == m for n, m in zip(shape, wanted, strict=False) if isinstance(n, int))
    if shape and not (fits and len(shape) == len(wanted)):  # an unknown shape is empty
        raise UserError(
            f"{options.file}: the model's input has the shape {shape}, but images have "
            f"{list(wanted)}; correct saliency.options.onnx.size_px, or export the model again"
        )
    return inputs[0].name


def _one_map(options: SaliencyOnnx, out: Any) -> Float:
    """Turn the model's first output into one map (h, w).

    Raises:
        UserError: it is not one map, or holds numbers that are not finite.
    """
    numbers = isinstance(out, np.ndarray) and out.dtype.kind in "fiub" and out.size > 0
    saliency = np.squeeze(out) if numbers else np.zeros(0)
    if saliency.ndim != 2:
        shape = getattr(out, "shape", f"no shape ({type(out).__name__})")
        raise UserError(
            f"{options.file}: the first output has shape {shape}, but must be one map; "
            "export the model with the saliency map as its first output"
        )
    if not np.isfinite(saliency).all():
        raise UserError(
            f"{options.file}: the map of an image has numbers that are not finite; correct "
            "saliency.options.onnx.mean and std, or export the model again"
        )
    return saliency.astype(np.float32)


def _providers(onnxruntime: object) -> list[str]:
    """The execution providers to use: the GPU if there is one, then the CPU."""
    available = onnxruntime.get_available_providers()  # type: ignore[attr-defined]
    wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
    return [name for name in wanted if name in available]
