"""State dicts on disk."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.errors import UserError
from pipeline.core.formats import replace_file

if TYPE_CHECKING:
    import torch


def write_weights(path: Path, state: dict[str, "torch.Tensor"]) -> None:
    """Write a state dict as safetensors."""
    from safetensors.torch import save

    data = save({k: v.detach().cpu().contiguous() for k, v in state.items()})
    replace_file(path, lambda f: f.write(data))


def read_weights(path: Path) -> dict[str, "torch.Tensor"]:
    """Read a state dict: safetensors, or a torch file read with weights_only.

    Raises:
        UserError: missing, or neither format.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise UserError(f"{path}: weights not found; give a path that exists, or 'none'")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, OSError, EOFError, ValueError, KeyError) as e:
        raise UserError(
            f"{path}: is not a PyTorch state dict ({str(e).splitlines()[0][:80]})"
        ) from e
    except Exception as e:  # torch raises pickle's own errors for foreign files
        if "pickle" not in type(e).__module__ and "Unpickling" not in type(e).__name__:
            raise
        raise UserError(f"{path}: is not a PyTorch state dict") from e
    return state
