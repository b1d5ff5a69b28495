"""The command that makes masks of photographs."""

from pathlib import Path
from typing import Annotated

import typer

from app.console import LAYOUT, out
from pipeline.core.errors import UserError
from pipeline.params import load_params


def segment_photographs(
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of images.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")],
    crf: Annotated[bool, typer.Option(help="Refine the masks by the dense CRF.")] = True,
    model: Annotated[
        Path | None,
        typer.Option(help="Folder of a trained segmenter. By default, that of the last run."),
    ] = None,
    maps: Annotated[bool, typer.Option("--maps", help="Draw class maps instead.")] = False,
    classifier: Annotated[
        Path | None, typer.Option(help="With --maps: folder of a trained classifier.")
    ] = None,
) -> None:
    """Segment photographs. Write NAME.png (palette PNG of class indices) and NAME_overlay.jpg.

    With --maps, write NAME_maps.jpg instead: class maps of the five most probable classes.

    A stopped call resumes when you type the command again. Use another output folder for each
    network and each set of params. made_of.json in the output folder lists the classes.
    """
    from app import predict, predict_maps

    if (maps and (model or not crf)) or (classifier and not maps):
        raise UserError("--maps goes with --classifier, and not with --model or --no-crf")
    params, photos = load_params(LAYOUT.params), predict.list_images(images)
    if maps:
        model = classifier or LAYOUT.seed_model
        results = predict_maps.draw(model, photos, output, params.seed.maps)
    else:
        results = predict.segment(
            model or LAYOUT.segmenter(params.segment.supervision[0]),
            photos,
            output,
            params.segment.predict,
            crf=params.crf[params.refine.crf] if crf else None,
        )
    for message in results.skipped:
        out.print(f"skipped: {message}")
    names = ", ".join(f"{i} {name}" for i, name in enumerate(results.classes))
    kept = f" ({results.kept} of them from an earlier call)" if results.kept else ""
    out.print(f"{results.count} images in {output}{kept}" + (names and f"; class indices: {names}"))
    if results.skipped:
        raise typer.Exit(1)
