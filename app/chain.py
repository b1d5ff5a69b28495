"""What `run` does before it starts DVC: check the input, and put together DVC's arguments."""

import os
from collections.abc import Sequence

from app import doctor, graph
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.params import load_params


def set_nproc(count: int | None) -> None:
    """Let `count` processes share a stage. None leaves this to the environment.

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
    params = load_params(layout.params)
    if not target and not changes:
        doctor.require_inputs(layout)
    stages = [graph.address(target, params)] if target else []
    if not changes:
        return ["repro", *stages]
    return ["exp", "run", *(part for change in changes for part in ("-S", change)), *stages]
