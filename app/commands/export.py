"""The commands `export masks` and `export voc-server`."""

from pathlib import Path
from typing import Annotated

import typer

from app.console import LAYOUT, out
from pipeline.params import load_params

app = typer.Typer(no_args_is_help=True)


@app.command()
def masks(
    source: Annotated[
        str,
        typer.Argument(
            help="guide (guide labels of the last run), predictions (its refined predictions), or "
            "a folder that `predict` wrote."
        ),
    ],
    name: Annotated[
        str, typer.Option("--format", help="One of coco, cvat, labelstudio, yolo, voc.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="A new folder.")],
    polygons: Annotated[
        bool,
        typer.Option(
            "--polygons",
            help="With coco: outlines that may be 1 px off, in place of exact masks.",
        ),
    ] = False,
) -> None:
    """Write images and masks for an annotation tool.

    The section "Open the masks in your annotation tool" of docs/photographs.md says where to click.
    """
    from app.exports.masks import export_masks
    from app.exports.source import read_source

    supervision = load_params(LAYOUT.params).segment.supervision[0]
    chosen = read_source(source, layout=LAYOUT, supervision=supervision)
    done = export_masks(chosen, output, name=name, polygons=polygons)
    out.print(f"{done.count} images in {output}; classes: {', '.join(chosen.classes[1:])}")
    if done.without_void:
        out.print(
            f"{name} has no void (255): in {done.without_void} images, void pixels became "
            "background"
        )


@app.command("voc-server")
def voc_server(
    predictions: Annotated[Path, typer.Argument(help="A folder that `predict` wrote.")],
    images: Annotated[Path, typer.Option("--list", help="VOC's list of test images, test.txt.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The archive.")] = Path(
        "results.tgz"
    ),
    competition: Annotated[
        str, typer.Option(help="comp6: trained with other data too, such as ImageNet; or comp5.")
    ] = "comp6",
) -> None:
    """Pack predictions of VOC 2012's test images into the archive that its server takes."""
    from app.exports.voc_server import export_voc

    count = export_voc(predictions, images, output, competition=competition)
    out.print(f"{count} predictions in {output}, for {competition}")
