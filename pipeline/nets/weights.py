"""State dicts: read from files, written to files, and loaded into a trunk."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from pipeline.core.errors import UserError
from pipeline.core.formats import replace_file

StateDict = dict[str, Tensor]


def write_weights(path: Path, state: StateDict) -> None:
    """Write a state dict as safetensors."""
    data = to_bytes({k: v.detach().cpu().contiguous() for k, v in state.items()})
    replace_file(path, lambda f: f.write(data))


def read_weights(path: Path, *, fix: str = "give another file, or 'none'") -> StateDict:
    """Read a state dict: safetensors, or a PyTorch file, read with weights_only.

    What else the file holds than tensors by name is left out.

    Args:
        path: the file.
        fix: what an error tells people to do.

    Raises:
        UserError: the file is missing, has neither format, or holds no tensor by name.
    """
    if not path.is_file():
        raise UserError(f"{path}: weights not found; {fix}")
    try:
        state = _read(path)
    except Exception as e:  # torch has no error of its own for bytes of another format
        reason = (str(e) or type(e).__name__).splitlines()[0][:80]
        if "Unpickling" in type(e).__name__:  # torch advises to run the file's code
            reason = "it holds objects other than tensors, which could run code"
        raise UserError(f"{path}: is not a PyTorch state dict ({reason}); {fix}") from e
    tensors = {
        name: value
        for name, value in (state.items() if isinstance(state, dict) else ())
        if isinstance(name, str) and isinstance(value, Tensor)
    }
    if not tensors:
        raise UserError(f"{path}: is not a PyTorch state dict (it holds no tensor by name); {fix}")
    return tensors


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pickle protocols that torch does not write
        return torch.load(path, map_location="cpu", weights_only=True)


def pretrained(weights: str, *, backbone: str, download: Callable[[], StateDict]) -> StateDict:
    """Return the state dict that `weights` names: a path, or 'imagenet', which is downloaded.

    Raises:
        UserError: the file cannot be read, or the download failed.
    """
    if weights != "imagenet":
        return read_weights(Path(weights))
    try:
        return download()
    except UserError:
        raise
    except Exception as e:  # no connection, or a file that torch refuses
        raise UserError(
            f"weights 'imagenet' of {backbone}: the download failed ({type(e).__name__}); get the "
            "file another way and give its path as weights, or set weights to 'none'"
        ) from e


def load_trunk(module: nn.Module, state: StateDict, *, weights: str) -> None:
    """Load a state dict into `module`. What else `state` holds, such as a classifier, is ignored.

    Args:
        module: receives the weights as float32.
        state: must have each tensor of `module`, except the counters of batch normalisation.
        weights: where `state` comes from, for the error message.

    Raises:
        UserError: a tensor is missing, or has another shape.
    """
    own = module.state_dict()
    unfit = [k for k in own if k not in state or state[k].shape != own[k].shape]
    unfit = [k for k in unfit if not k.endswith("num_batches_tracked")]
    if unfit:
        raise UserError(
            f"{weights}: these weights do not fit this backbone: '{unfit[0]}' is missing or has "
            "another shape; give weights of this backbone, or 'none'"
        )
    module.load_state_dict({k: state[k].float() for k in own if k in state}, strict=False)
