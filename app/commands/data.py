"""Commands that bring data into the form that the chain reads."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.choices import DATASETS, TAGS, among, one_of
from app.commands.new import show_gathered
from app.console import out
from pipeline.core.errors import MAX_NAMED, UserError


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


def pack(
    images: Annotated[
        Path,
        typer.Argument(
            help="Folder of photographs; or a text file, or - for the standard input, with a path "
            "or an address a line."
        ),
    ],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder for the tars.")],
    tags: Annotated[Path | None, typer.Option(help="File with the tags, as for `new`.")] = None,
    tags_from: Annotated[
        str | None,
        typer.Option(
            help="csv, coco, labelstudio, cvat or folders, as for `new`.",
            autocompletion=among(TAGS),
        ),
    ] = None,
    masks: Annotated[Path | None, typer.Option(help="Folder of masks ID.png.")] = None,
    per_tar: Annotated[int, typer.Option(min=1, help="Photographs in a tar, at most.")] = 1000,
) -> None:
    """Pack tagged photographs into tars in the layout of WebDataset, for `data.source: shards`.

    Print what cannot be used and why.
    """
    from app import packing

    packed = packing.pack(
        images, folder, tags=tags, tags_from=tags_from, masks_from=masks, per_shard=per_tar
    )
    gathered = packed.gathered
    count = len(gathered.photographs)
    out.print(f"{folder}: photographs: {count}, masks: {packed.masks}, tars: {packed.tars}")
    for line in packed.unread[:MAX_NAMED]:
        out.print(f"left out: {line}")
    if packed.unread:
        out.print(f"left out: entries of the list that cannot be read: {len(packed.unread)}")
    show_gathered(gathered)
    out.print(
        f"set data.source to shards, data.root and data.tags to {folder}, and data.classes to []"
    )
    out.give(
        {
            "folder": str(folder),
            "images": count,
            "masks": packed.masks,
            "tars": packed.tars,
            "unread": packed.unread,
            "left_out": gathered.left_out,
            "counts": gathered.counts,
            "notes": gathered.notes,
        }
    )
