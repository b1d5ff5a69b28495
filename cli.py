"""The commands that people type. DVC never calls this file."""

import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

try:
    import typer
    from rich.console import Console
    from rich.table import Table
    from ruamel.yaml import YAML
except ImportError as e:
    sys.exit(f"error: {e}; run `make install` and `source .venv/bin/activate` first")

from app import cells, chain, doctor, dvc_process, fetch, graph, msra, presets, status, tables
from pipeline.core import runtime
from pipeline.core.errors import UserError
from pipeline.core.layout import SCORED, Layout
from pipeline.core.params import read_yaml
from pipeline.params import load_params
from pipeline.report import links

app = typer.Typer(
    help="Train a segmenter from image tags.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console(soft_wrap=True, highlight=False)
LAYOUT = Layout()
STOPPED = "\nStopped. All finished results are kept."
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "-S",
        "--set-param",
        metavar="NAME=VALUE",
        help="Set a param, such as seed.train.epochs=2, and record the run as a DVC experiment. "
        "The param stays set.",
    ),
]


def _dvc(*args: str) -> int:
    """Run DVC and return its exit code."""
    code = dvc_process.dvc(*args, say=lambda line: print(line, end="", flush=True))
    if code is None:
        out.print(f"{STOPPED} To resume, run the same command again.")
        raise typer.Exit(130)
    return code


@app.command()
def run(
    target: Annotated[
        str | None, typer.Argument(metavar="STAGE", help="Stop after this stage.")
    ] = None,
    set_param: Changes = None,
    nproc: Annotated[
        int | None, typer.Option(min=1, help="Number of processes, or GPUs, that share a stage.")
    ] = None,
) -> None:
    """Run the chain, or only as far as STAGE. A stage runs only if its inputs have changed."""
    chain.set_nproc(nproc)
    arguments = chain.prepare(LAYOUT, target=target, changes=set_param or [])
    if not target and not set_param and (advice := doctor.advise_epochs(LAYOUT)):
        out.print(f"note: {advice}\n")
    if _dvc(*arguments):
        out.print(f"{STOPPED} Fix what the error above names, then run the same command again.")
        raise typer.Exit(1)
    if not target:
        show_scores()
    elif target.startswith("evaluate_"):  # the scores of other links may be older
        _print_scores([target.removeprefix("evaluate_")])


@app.command("scores")
def show_scores() -> None:
    """Print the scores of each link of the chain, from the last run."""
    _print_scores(SCORED)


def _print_scores(groups: Sequence[str]) -> None:
    scores = links.read_scores(map(LAYOUT.scores, groups))
    if not scores:
        raise UserError("no scores yet; run `python cli.py run` first")
    table = _table("link", "score", numbers=("train", "val", "95 %"))
    lines = links.lines(scores)
    if not any(line.score == "mIoU" for line in lines):  # no masks: show what the tags tell
        lines += links.lines(scores, links.TAGGED)
    for line in lines:
        columns = (links.number(line.train), links.number(line.val), links.interval(line))
        table.add_row(line.name, line.score, *columns)
    out.print(table)
    out.print()
    if any(line.low is not None for line in lines):
        out.print("95 %: bootstrap interval over the images of val (of train if there is no val)")
    record = scores["about"]
    if "saliency" in record:
        out.print(f"saliency: {record['saliency']} (trained on: {record['saliency_trained_on']})")
    if groups == SCORED:
        out.print(f"pictures: {LAYOUT.report / 'index.html'}")


def _table(*texts: str, numbers: Sequence[str] = ()) -> Table:
    """Return an empty table with columns of texts, then columns of numbers."""
    table = Table(box=None, pad_edge=False)
    for name in texts:
        table.add_column(name)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


@app.command()
def compare(a: str, b: str) -> None:
    """Say in what two runs, folders or git revisions, differ. Then compare their scores."""
    from app import comparison

    out.print("\n".join(comparison.describe(LAYOUT, a, b)), markup=False)


@app.command()
def use(
    preset: Annotated[str, typer.Argument(help="Name of a file in presets/, without .yaml.")],
) -> None:
    """Replace params.yaml by a preset, and print each value that changes. Keep the old file."""
    for name, old, new in presets.use(LAYOUT, preset):
        out.print(f"{name}: {old} -> {new}")
    out.print(f"params.yaml is now the preset '{preset}'; the old one is {LAYOUT.params_before}")


@app.command("status")
def show_status() -> None:
    """Show the state, time and memory of each stage, and the scores."""
    stages = status.read(LAYOUT)
    table = _table("stage", "state", "time", "memory")
    for stage in stages:
        seconds = f"{stage.seconds:.0f} s" if stage.seconds else ""
        memory = f"{stage.peak_mib} MiB" if stage.peak_mib else ""
        table.add_row(stage.name, stage.state, seconds, memory)
    out.print(table)
    if any(LAYOUT.scores(group).exists() for group in SCORED):
        old = any(stage.state != graph.UP_TO_DATE for stage in stages)
        out.print("\nThese scores are of the last run. Some stages must run now.\n" if old else "")
        show_scores()


@app.command("config")
def show_config() -> None:
    """Check params.yaml, and print the params as the stages read them."""
    YAML().dump(load_params(LAYOUT.params).model_dump(mode="json"), sys.stdout)


@app.command("doctor")
def check_machine() -> None:
    """Check machine, params, data and weights. Say how to fix what is missing."""
    checks = doctor.examine(LAYOUT)
    for check in checks:
        out.print(f"{'ok  ' if check.ok else 'FAIL'}  {check.name:<8} {check.message}")
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


@app.command("fetch")
def download(
    dataset: Annotated[str, typer.Argument(help=f"One of {', '.join(fetch.DATASETS)}.")],
    root: Annotated[Path, typer.Option(help="Folder for the download.")] = Path("data/raw"),
) -> None:
    """Download a data set or a saliency network, and verify its checksum.

    A broken download resumes when you type the command again.
    """
    if dataset not in fetch.DATASETS:
        raise UserError(f"no data set '{dataset}'; choose one of {', '.join(fetch.DATASETS)}")
    out.print(fetch.fetch(dataset, root))


@app.command()
def convert(
    dataset: Annotated[str, typer.Argument(help="msra")],
    annotations: Annotated[list[Path], typer.Argument(help="The data set's text files of boxes.")],
    root: Annotated[Path, typer.Option(help="Folder of images/.")] = Path("data/raw/msra_boxes"),
) -> None:
    """Write boxes.json, from which the saliency network learns, out of a data set's own files."""
    if dataset != "msra":
        raise UserError(f"no converter for '{dataset}'; there is msra")
    out.print(msra.convert(annotations, root))


@app.command()
def table(
    name: Annotated[
        str | None, typer.Argument(help="T1 to T10, or boxes. Without a name, all except T10.")
    ] = None,
    row: Annotated[
        list[str] | None, typer.Option(help="Run only this row. Repeat it for several.")
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option(help="Run only this random seed. Repeat it for several.")
    ] = None,
) -> None:
    """Run the missing cells of the papers' tables. Write Markdown, CSV and LaTeX.

    If rows have class maps, a PNG in the same folder draws their precision-recall curves.
    """
    ablation = read_yaml(LAYOUT.ablation)
    chosen = tables.choose(read_yaml(LAYOUT.tables), name)
    addresses = tables.addresses(chosen, ablation, rows=row, seeds=seed)
    code = _dvc("repro", "--keep-going", *addresses)
    params = read_yaml(LAYOUT.params)
    for chosen_table in chosen:
        out.print(cells.write_table(LAYOUT, chosen_table, params, ablation), markup=False)
    if code:
        out.print("Some cells failed, and the tables show them as missing. See the errors above.")
        raise typer.Exit(1)


@app.command()
def predict(
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
        model = model or LAYOUT.segmenter(params.segment.supervision[0])
        chosen = params.crf[params.refine.crf] if crf else None
        results = predict.segment(model, photos, output, params.segment.predict, crf=chosen)
    for message in results.skipped:
        out.print(f"skipped: {message}")
    names = ", ".join(f"{i} {name}" for i, name in enumerate(results.classes))
    kept = f" ({results.kept} of them from an earlier call)" if results.kept else ""
    out.print(f"{results.count} images in {output}{kept}" + (names and f"; class indices: {names}"))
    if results.skipped:
        raise typer.Exit(1)


@app.command("export-voc")
def export(
    predictions: Annotated[Path, typer.Argument(help="A folder that `predict` wrote.")],
    images: Annotated[Path, typer.Option("--list", help="VOC's list of test images, test.txt.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Archive.")] = Path("results.tgz"),
    competition: Annotated[
        str, typer.Option(help="comp6: trained with other data too, such as ImageNet; or comp5.")
    ] = "comp6",
) -> None:
    """Pack predictions of VOC 2012's test images into the archive that its server takes."""
    from app.export import export_voc

    count = export_voc(predictions, images, output, competition=competition)
    out.print(f"{count} predictions in {output}, for {competition}")


def main() -> None:
    """Run a command. A UserError is printed as one line, and the exit code is 1."""
    threading.excepthook = runtime.forgive_pool
    try:
        app()
    except UserError as e:
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"error: {e}", markup=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
