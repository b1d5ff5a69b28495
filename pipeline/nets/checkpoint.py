"""Files of a trained network: its weights, and the description that it is rebuilt from."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from torch import nn

from pipeline.core import formats, ranks, runtime
from pipeline.core.errors import COMMAND, MissingFileError, UserError
from pipeline.core.params import validate
from pipeline.nets.weights import StateDict, read_weights, write_weights

Spec = dict[str, Any]
N = TypeVar("N", bound=nn.Module)
D = TypeVar("D", bound="Description")
WEIGHTS = "weights.safetensors"
AGAIN = "copy the whole folder of the model again, or train it again"


def _check_classes(names: list[str]) -> list[str]:
    if len({"background", "", *names}) < len(names) + 2:
        raise ValueError("must be different names, without background")
    return names


class Description(BaseModel):
    """What the description of every network holds. A kind of network adds what it is built from."""

    model_config = ConfigDict(frozen=True, protected_namespaces=(), allow_inf_nan=False)

    kind: str
    backbone: str
    output_stride: Literal[8, 16, 32]
    classes: Annotated[list[str], Field(min_length=1), AfterValidator(_check_classes)]


def demand(spec: Spec, kind: str, model: type[D]) -> D:
    """Check that a description is of a network of this kind, and complete.

    Args:
        spec: the description.
        kind: the kind of network.
        model: what the description of this kind holds.

    Raises:
        UserError: it is of another kind, or a value is missing or wrong.
    """
    if isinstance(spec, dict) and "kind" in spec and spec["kind"] != kind:
        raise UserError(
            f"this network is of kind '{spec['kind']}', not '{kind}'; choose another folder"
        )
    return validate(model, spec, where="", file="net.json")


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
        UserError: no network was trained there yet, or it is of another kind, or a file is
            damaged or holds numbers that are not finite, or the files are of two networks.
    """
    if not os.path.exists(folder / "net.json"):  # Path.exists fails on a name that is too long
        raise MissingFileError(
            folder / "net.json", f"no network was trained there; run `{COMMAND} run` first"
        )
    spec = formats.read_json(folder / "net.json")
    state = read_weights(folder / WEIGHTS, fix=AGAIN)
    if not all(torch.isfinite(tensor).all() for tensor in state.values()):
        raise UserError(f"{folder / WEIGHTS}: holds numbers that are not finite; {AGAIN}")
    try:
        net = build(spec)
        net.load_state_dict(state)
    except UserError as e:
        raise UserError(f"{folder}: {e}") from e
    except RuntimeError as e:  # a tensor is missing or has another shape
        raise UserError(f"{folder}: net.json and weights.safetensors do not fit; {AGAIN}") from e
    return net, spec
