"""What `run` does before it starts DVC: check the input, and put together DVC's arguments."""

import difflib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app import doctor, graph
from pipeline.core.errors import COMMAND, UserError
from pipeline.core.layout import Layout
from pipeline.core.params import read_yaml
from pipeline.params import Params, load_params


def set_nproc(count: int | None) -> None:
    """Let `count` processes share each training. None leaves this to the environment.

    Raises:
        UserError: GUIDELABEL_LAUNCH is set, which starts the processes itself.
    """
    if count:
        if os.environ.get("GUIDELABEL_LAUNCH"):
            raise UserError(
                "GUIDELABEL_LAUNCH already sets the number of processes; unset it or omit --nproc"
            )
        os.environ["GUIDELABEL_NPROC"] = str(count)


def prepare(layout: Layout, *, target: str | None, changes: Sequence[str]) -> list[str]:
    """Check all that can be checked before DVC starts, and return DVC's arguments.

    Args:
        layout: the project's paths.
        target: the stage to stop after; None means the whole chain.
        changes: params to set, as NAME=VALUE.

    Raises:
        UserError: a param is wrong, or an input of the whole chain is missing.
    """
    params = changed_params(layout, changes)
    if not target and not changes:
        doctor.require_inputs(layout)
    stages = [graph.address(target, params)] if target else []
    if not changes:
        return ["repro", *stages]
    return ["exp", "run", *(part for change in changes for part in ("-S", change)), *stages]


def changed_params(layout: Layout, changes: Sequence[str]) -> Params:
    """Return the params as DVC would set them. It sets them in a copy of the file.

    Raises:
        UserError: params.yaml is wrong, or would be wrong with all changes.
    """
    params = load_params(layout.params)
    with TemporaryDirectory() as folder:
        copy = Path(shutil.copy(layout.params, folder))
        for change in changes:
            _set_param(copy, change)
        return load_params(copy) if changes else params


def _set_param(file: Path, change: str) -> None:
    """Set a param in `file` by DVC's own code, so that it means the same in DVC."""
    from dvc.utils.hydra import apply_overrides

    name, equals, _ = change.partition("=")
    if ":" in name:  # DVC's FILE:NAME=VALUE
        file_name = name.partition(":")[0]
        if Path(file_name) != Path(file.name):
            raise UserError(f"-S {change}: {file_name} holds no params; name one of {file.name}")
        name, change = name.partition(":")[2], change.partition(":")[2]
    names = list(_names(read_yaml(file)))  # a failure may leave the file incomplete
    try:
        apply_overrides(file, [change])
    except Exception as e:  # DVC has an error of its own, and passes on those of two libraries
        if name in names:
            fix = "check brackets and quotes" if equals else "add =VALUE"
            raise UserError(f"-S {change}: has no valid value; {fix}") from e
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"`{COMMAND} config` prints all params"
        raise UserError(f"-S {change}: no such param; {hint}") from e


def _names(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted name of every section and param."""
    for key, value in values.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _names(value, f"{prefix}{key}.")
