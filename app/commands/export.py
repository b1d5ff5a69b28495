"""The commands `export masks`, `export model` and `export voc-server`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from app.commands.choices import COMPETITIONS, EXPORTED, MODELS, among, one_of
from app.console import LAYOUT, out


def masks(
    source: Annotated[
        str,
        typer.Argument(
            help="guide (guide labels of the last run), predictions (its refined predictions), or "
            "a folder that `predict` wrote."
        ),
    ],
    name: Annotated[
        str,
        typer.Option("--format", help=one_of(EXPORTED), autocompletion=among(EXPORTED)),
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
    from app.exports.source import PREDICTIONS, read_source
    from pipeline.params import load_params

    own = source == PREDICTIONS  # the other sources need no params
    supervision = load_params(LAYOUT.params).segment.supervision[0] if own else ""
    chosen = read_source(source, layout=LAYOUT, supervision=supervision)
    done = export_masks(chosen, output, name=name, polygons=polygons)
    out.print(f"{done.count} images in {output}; classes: {', '.join(chosen.classes[1:])}")
    if done.without_void:
        out.print(
            f"{name} has no void (255): in {done.without_void} images, void pixels became "
            "background"
        )
    out.give({"output": str(output), "classes": chosen.classes, **asdict(done)})


def model(
    source: Annotated[
        str | None,
        typer.Argument(
            help="guide, or another entry of segment.supervision: the segmenter of the last run; "
            "or a folder of a trained segmenter. By default, the first entry.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str, typer.Option("--format", help=one_of(MODELS), autocompletion=among(MODELS))
    ] = "onnx",
    output: Annotated[Path, typer.Option("-o", "--output", help="A new folder.")] = Path("model"),
    push: Annotated[
        str | None,
        typer.Option(
            metavar="REPO",
            help="Also upload the folder to OWNER/NAME on Hugging Face, where a new repository is "
            "private; or copy it to a folder such as ./copy.",
        ),
    ] = None,
) -> None:
    """Write a trained segmenter for other programs, with a model card.

    docs/models.md says how Python, JavaScript and C++ use it.
    """
    from app.exports import model_card
    from app.exports.model import export_model
    from pipeline.params import load_params

    segment = load_params(LAYOUT.params).segment
    done = export_model(
        source or segment.supervision[0], output, name=name, layout=LAYOUT, predict=segment.predict
    )
    out.print(f"{', '.join(sorted(p.name for p in output.iterdir()))} in {output}")
    out.print(f"compared with PyTorch: {done or 'the weights are the same bytes'}")
    out.print(f"{output / model_card.CARD}: read it, and choose a licence in its first lines")
    pushed = model_card.push(output, push) if push else ""
    if pushed:
        out.print(f"copied to {pushed}")
    out.give({"output": str(output), "compared": done, "copied_to": pushed})


def voc_server(
    predictions: Annotated[Path, typer.Argument(help="A folder that `predict` wrote.")],
    images: Annotated[Path, typer.Option("--list", help="VOC's list of test images, test.txt.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The archive.")] = Path(
        "results.tgz"
    ),
    competition: Annotated[
        str,
        typer.Option(
            help="comp6: trained with other data too, such as ImageNet; or comp5.",
            autocompletion=among(COMPETITIONS),
        ),
    ] = "comp6",
) -> None:
    """Pack predictions of VOC 2012's test images into the archive that its server takes."""
    from app.exports.voc_server import export_voc

    count = export_voc(predictions, images, output, competition=competition)
    out.print(f"{count} predictions in {output}, for {competition}")
    out.give({"output": str(output), "predictions": count, "competition": competition})
