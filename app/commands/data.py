"""Commands that bring data into the form that the chain reads."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.choices import DATASETS, among, one_of
from app.console import out
from pipeline.core.errors import UserError


def download(
    dataset: Annotated[str, typer.Argument(help=one_of(DATASETS), autocompletion=among(DATASETS))],
    root: Annotated[Path, typer.Option(help="Folder for the download.")] = Path("data/raw"),
) -> None:
    """Download a data set or a saliency network, and verify its checksum.

    A broken download resumes when you type the command again.
    """
    from app import fetch

    if dataset not in fetch.DATASETS:
        raise UserError(f"no data set '{dataset}'; choose one of {', '.join(DATASETS)}")
    message = fetch.fetch(dataset, root)
    out.print(message)
    out.give({"message": message})


def convert(
    dataset: Annotated[str, typer.Argument(help="msra", autocompletion=among(["msra"]))],
    annotations: Annotated[list[Path], typer.Argument(help="The data set's text files of boxes.")],
    root: Annotated[Path, typer.Option(help="The folder that holds images/.")] = Path(
        "data/raw/msra_boxes"
    ),
) -> None:
    """Write boxes.json, from which the saliency network learns, out of a data set's own files."""
    from app import msra

    if dataset != "msra":
        raise UserError(f"no converter for '{dataset}'; there is msra")
    message = msra.convert(annotations, root)
    out.print(message)
    out.give({"message": message})
