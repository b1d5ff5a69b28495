"""The command that makes masks of photographs."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.console import LAYOUT, out
from pipeline.core.errors import UserError

if TYPE_CHECKING:
    from app.predict import Results
    from app.sources import Source
    from pipeline.core.config import Infer
    from pipeline.crf.config import Crf

LEAST_TILE_PX = 64


def segment_photographs(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for the results.", show_default=False)
    ],
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE...",
            help="Image files, folders (with subfolders), quoted globs, videos, lists (*.txt with "
            "a path on each line), or - for such a list from standard input.",
            show_default=False,
        ),
    ] = None,
    crf: Annotated[
        bool | None,
        typer.Option(
            "--crf/--no-crf",
            help="Refine the masks by the dense CRF. By default, only those of a trained "
            "segmenter, not those of an exported model.",
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a trained segmenter, or an exported *.onnx. By default, the segmenter "
            "of the last run."
        ),
    ] = None,
    tile: Annotated[
        int,
        typer.Option(
            help="Keep the size of the images, and show the network tiles of this many px: for "
            "small objects in large images. By default, images are scaled to the network's size.",
            show_default=False,
        ),
    ] = 0,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Also write NAME.npz: all probabilities.")
    ] = False,
    watch: Annotated[
        Path | None,
        typer.Option(help="Also segment what is put into this folder, until Ctrl-C."),
    ] = None,
    maps: Annotated[bool, typer.Option("--maps", help="Draw class maps instead.")] = False,
    classifier: Annotated[
        Path | None, typer.Option(help="With --maps: folder of a trained classifier.")
    ] = None,
) -> None:
    """Segment photographs. Write NAME.png (palette PNG of class indices) and NAME_overlay.jpg.

    Results of files in a folder keep their path below it. Each frame of a video gets
    NAME/frame_000000.png and its overlay. With --maps, write NAME_maps.jpg instead: class maps of
    the five most probable classes.

    A stopped call resumes when you type the command again. Use another output folder for each
    network and each set of params. made_of.json in the output folder lists the classes.
    """
    if (maps and (model or crf is not None)) or (classifier and not maps):
        raise UserError("--maps goes with --classifier, and not with --model or --no-crf")
    if maps and (tile or probabilities or watch):
        raise UserError("--maps does not go with --tile, --probabilities or --watch")
    if not (sources or watch):
        raise UserError("name a photograph or a folder, or --watch a folder")
    if tile and tile < LEAST_TILE_PX:
        raise UserError(f"--tile {tile}: give at least {LEAST_TILE_PX} px")
    found = _find(sources or [])
    if maps:
        results = _draw_maps(found, output, classifier)
    else:
        results = _segment(
            found, watch, output, model, crf, tile=tile, probabilities=probabilities
        )  # fmt: skip
    _show(results, output)
    if results.skipped:
        raise typer.Exit(1)


def _find(items: list[str]) -> "list[Source]":
    from app import sources

    return sources.find(items, standard_input=sys.stdin.buffer) if items else []


def _draw_maps(found: "list[Source]", output: Path, classifier: Path | None) -> "Results":
    from app import predict_maps
    from pipeline.params import load_params

    params = load_params(LAYOUT.params)
    return predict_maps.draw(classifier or LAYOUT.seed_model, found, output, params.seed.maps)


def _segment(
    found: "list[Source]",
    watch: Path | None,
    output: Path,
    model: Path | None,
    crf: bool | None,
    *,
    tile: int,
    probabilities: bool,
) -> "Results":
    from app import nets, predict, videos
    from app.sources import is_video
    from app.watch import segment_new

    predict.check_output([source.path for source in found], output)
    if model and nets.is_onnx(model):
        infer, chosen = None, nets.default_crf() if crf else None
    else:
        model, infer, chosen = _of_params(model, crf)
    options = predict.Options(chosen, tile, probabilities)
    predictor = predict.Predictor(model, output, options, infer=infer)
    photos = [source for source in found if not is_video(source.path)]
    results = predictor.segment(photos)
    for source in found:
        if is_video(source.path):
            results += videos.segment(predictor, source)
    if watch:
        results += segment_new(predictor, watch, say=out.print)
    return results


def _of_params(model: Path | None, crf: bool | None) -> "tuple[Path, Infer, Crf | None]":
    """Return the trained segmenter, its inference and its CRF, by params.yaml."""
    from pipeline.params import load_params

    params = load_params(LAYOUT.params)
    model = model or LAYOUT.segmenter(params.segment.supervision[0])
    chosen = None if crf is False else params.crf[params.refine.crf]
    return model, params.segment.predict, chosen


def _show(results: "Results", output: Path) -> None:
    for message in results.skipped:
        out.say(f"skipped: {message}")
    names = ", ".join(f"{i} {name}" for i, name in enumerate(results.classes))
    kept = f" ({results.kept} of them from an earlier call)" if results.kept else ""
    out.print(f"{results.count} images in {output}{kept}" + (names and f"; class indices: {names}"))
    out.give({"output": str(output), **asdict(results)})
