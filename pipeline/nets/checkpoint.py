"""Files of a trained network: its weights, and the description that it is rebuilt from."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from pipeline.core import formats, ranks, runtime
from pipeline.core.errors import MissingFileError, UserError
from pipeline.nets.weights import StateDict, read_weights, write_weights

Spec = dict[str, Any]
N = TypeVar("N", bound=nn.Module)
WEIGHTS = "weights.safetensors"


def demand(spec: Spec, kind: str) -> None:
    """Check that a description is of a network of this kind.

    Raises:
        UserError: it is of another kind.
    """
    if spec.get("kind") != kind:
        raise UserError(
            f"this network is of kind '{spec.get('kind')}', not '{kind}'; choose another folder"
        )


def save(
    folder: Path, net: nn.Module, spec: Spec, epochs: Sequence[tuple[float, float | None]]
) -> None:
    """Write weights, description, and the table of losses that `dvc plots` shows, in rank 0 only.

    Args:
        folder: receives the files.
        net: the trained network.
        spec: its description. The file also records device, precision and version of torch.
        epochs: loss and validation loss of each epoch. The second is None without validation.
    """
    save_state(folder, net.state_dict(), spec, epochs)


def save_state(
    folder: Path, state: StateDict, spec: Spec, epochs: Sequence[tuple[float, float | None]]
) -> None:
    """Write the files of `save` for a network whose state dict is `state`, in rank 0 only."""
    if not ranks.first():
        return
    write_weights(folder / WEIGHTS, state)
    formats.write_json(folder / "net.json", {**spec, "trained_on": runtime.describe()})
    rows = [
        (i, f"{loss:.5f}", "" if val_loss is None else f"{val_loss:.5f}")
        for i, (loss, val_loss) in enumerate(epochs, 1)
    ]
    columns = ("epoch", "loss", "val_loss")
    formats.write_table(folder / "loss.tsv", rows, columns=columns, sep="\t")


def load(folder: Path, build: Callable[[Spec], N]) -> tuple[N, Spec]:
    """Read a network that `save` wrote.

    Args:
        folder: holds the files.
        build: builds the network from its description, such as `DeepLab.from_spec`.

    Returns:
        The network with its trained weights, and its description.

    Raises:
        UserError: no network was trained there yet, it is of another kind, or a file is damaged.
    """
    if not (folder / "net.json").exists():
        raise MissingFileError(
            folder / "net.json", "no network was trained there; run `python cli.py run` first"
        )
    spec, state = formats.read_json(folder / "net.json"), read_weights(folder / WEIGHTS)
    try:
        net = build(spec)
        net.load_state_dict(state)
    except UserError as e:
        raise UserError(f"{folder}: {e}") from e
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as e:
        raise UserError(
            f"{folder}: net.json describes no network that fits {WEIGHTS} ({type(e).__name__}); "
            "train it again"
        ) from e
    return net, spec
