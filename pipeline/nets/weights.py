"""State dicts: read from files, written to files, and loaded into a trunk."""

import warnings
from collections.abc import Callable
from pathlib import Path

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


def read_weights(path: Path) -> StateDict:
    """Read a state dict: safetensors, or a PyTorch file, read with weights_only.

    Raises:
        UserError: the file is missing, has neither format, or holds anything but tensors.
    """
    if not path.is_file():
        raise UserError(f"{path}: weights not found; give a path that exists, or 'none'")
    try:
        state = load_file(path) if path.suffix == ".safetensors" else _load_torch(path)
    except Exception as e:  # for files of another format, torch raises errors of every kind
        reason = (str(e).splitlines() or [type(e).__name__])[0][:80]
        if "Unpickling" in type(e).__name__:  # torch advises to run the file's code
            reason = "it holds objects other than tensors, which could run code"
        raise UserError(f"{path}: is not a PyTorch state dict ({reason})") from e
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise UserError(
            f"{path}: is not a PyTorch state dict (it holds objects other than tensors)"
        )
    return state


def _load_torch(path: Path) -> StateDict:
    """Read a PyTorch file without running code that its pickle may hold."""
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
