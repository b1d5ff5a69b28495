"""GuideLabel on the command line: what people type. DVC never calls this file."""

import json
import os
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

from app import cells, doctor, dvc_process, fetch, graph, presets, tables
from pipeline.core import formats, runtime
from pipeline.core.errors import UserError
from pipeline.core.layout import SCORED, Layout
from pipeline.core.params import read_yaml
from pipeline.params import load_params
from pipeline.report import links

app = typer.Typer(
    help="From image tags to a pixel-accurate segmenter.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console(soft_wrap=True, highlight=False)
LAYOUT = Layout()
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "-S", "--set-param", help="Set a param (it stays set) and keep the run as a DVC experiment."
    ),
]


def _dvc(*args: str) -> int:
    """Run dvc; its exit code."""
    code = dvc_process.dvc(*args, say=lambda line: print(line, end="", flush=True))
    if code is None:
        out.print("\nStopped; what was finished is kept. Run it again to go on.")
        raise typer.Exit(130)
    return code


@app.command()
def run(
    target: Annotated[str | None, typer.Argument(help="Stop after this stage.")] = None,
    set_param: Overrides = None,
    nproc: Annotated[
        int | None, typer.Option(min=1, help="Processes, or GPUs, that share a stage.")
    ] = None,
) -> None:
    """Run the chain, or what is needed up to TARGET; what did not change is not run again."""
    if nproc:
        if os.environ.get("GUIDELABEL_LAUNCH"):
            raise UserError("GUIDELABEL_LAUNCH already says how many; unset it or leave --nproc")
        os.environ["GUIDELABEL_NPROC"] = str(nproc)
    if target or set_param:
        load_params(LAYOUT.params)
    else:
        doctor.require_inputs(LAYOUT)
        if few := doctor.few_steps(LAYOUT):
            out.print(f"note: {few}\n")
    names = [graph.address(target, load_params(LAYOUT.params))] if target else []
    if set_param:
        changes = [part for change in set_param for part in ("-S", change)]
        code = _dvc("exp", "run", *changes, *names)
    else:
        code = _dvc("repro", *names)
    if code:
        out.print(
            "\nStopped; what was finished is kept. Mend what the error names, then run again."
        )
        raise typer.Exit(1)
    if not target:
        scores()
    elif target.startswith("evaluate_"):  # the other links may be older
        _print_scores([target.removeprefix("evaluate_")])


@app.command()
def scores() -> None:
    """Print the scores of the last run, link by link."""
    _print_scores(SCORED)


def _print_scores(groups: Sequence[str]) -> None:
    found = links.read_scores(map(LAYOUT.scores, groups))
    if not found:
        raise UserError("no scores yet; run `python cli.py run` first")
    table = Table(box=None, pad_edge=False)
    for name in ("link", "score"):
        table.add_column(name)
    for name in ("train", "val", "95 %"):
        table.add_column(name, justify="right")
    lines = links.lines(found)
    if not any(line.score == "mIoU" for line in lines):  # no masks: what the tags tell
        lines += links.lines(found, links.TAGGED)
    for line in lines:
        columns = (links.number(line.train), links.number(line.val), links.interval(line))
        table.add_row(line.name, line.score, *columns)
    if "FS%" in found:
        table.add_row("share of full supervision", "FS%", "", str(found["FS%"]))
    out.print(table)
    out.print()
    if any(line.low is not None for line in lines):
        out.print("95 %: bootstrap over the images of val (of train where there is no val)")
    about = found["about"]
    if "saliency" in about:
        out.print(f"saliency: {about['saliency']} (learned from: {about['saliency_trained_on']})")
    if groups == SCORED:
        out.print(f"pictures: {LAYOUT.report / 'index.html'}")


@app.command()
def use(preset: Annotated[str, typer.Argument(help="A file of presets/, without .yaml.")]) -> None:
    """Make params.yaml the scenario PRESET; prints every value that changed, keeps the old file."""
    for name, old, new in presets.use(LAYOUT, preset):
        out.print(f"{name}: {old} -> {new}")
    out.print(f"params.yaml is now the preset '{preset}'; as it was: {LAYOUT.params_before}")


@app.command()
def status() -> None:
    """Show which links are up to date, which must run again and why or follow, and the scores."""
    load_params(LAYOUT.params)  # a wrong param is named before DVC stops at it
    dag = dvc_process.ask("dag", "--dot", graph.LAST)
    changed = json.loads(dvc_process.ask("status", "--json", "dvc.yaml", graph.OPTIONAL))
    table = Table(box=None, pad_edge=False)
    for name in ("stage", "state", "time", "memory"):
        table.add_column(name)
    states = graph.states(changed, graph.parse(dag))
    for stage, why in states:
        log = LAYOUT.log / f"{stage.split(':')[-1].replace('@', '_')}.json"
        ran = formats.read_json(log) if log.exists() else {}
        time, memory = ran.get("seconds"), ran.get("peak_mib")
        table.add_row(
            stage, why, f"{time:.0f} s" if time else "", f"{memory} MiB" if memory else ""
        )
    out.print(table)
    if any(LAYOUT.scores(group).exists() for group in SCORED):
        old = any(why != graph.UP_TO_DATE for _, why in states)
        out.print("\nof the last run, before what must run now:\n" if old else "")
        scores()


@app.command("config")
def show_config() -> None:
    """Print params.yaml as the stages will see it, validated."""
    YAML().dump(load_params(LAYOUT.params).model_dump(mode="json"), sys.stdout)


@app.command("doctor")
def check_machine() -> None:
    """Check python, torch, device, CRF, data and weights, each with its fix."""
    found = doctor.examine(LAYOUT)
    for check in found:
        out.print(f"{'ok  ' if check.ok else 'FAIL'}  {check.name:<8} {check.said}")
    if not all(check.ok for check in found):
        raise typer.Exit(1)


@app.command("fetch")
def download(
    dataset: Annotated[str, typer.Argument(help=" | ".join(fetch.DATASETS))],
    root: Annotated[Path, typer.Option(help="Where to put it.")] = Path("data/raw"),
) -> None:
    """Download a data set or a saliency network, with checksum; it goes on where it was."""
    if dataset not in fetch.DATASETS:
        raise UserError(f"no data set '{dataset}'; there are {', '.join(fetch.DATASETS)}")
    out.print(fetch.fetch(dataset, root))


@app.command()
def table(
    name: Annotated[str | None, typer.Argument(help="T1 to T10; without it, T1 to T9.")] = None,
    row: Annotated[list[str] | None, typer.Option(help="Run this row alone.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Run this random seed alone.")] = None,
) -> None:
    """Run what a paper's table still needs, and write it as Markdown, CSV and LaTeX.

    If its rows have class maps, their precision-recall curves are drawn beside it.
    """
    spec, ablation = read_yaml(LAYOUT.tables), read_yaml(LAYOUT.ablation)
    if name and name not in spec:
        raise UserError(f"no table '{name}'; there are {', '.join(spec)}")
    known = [tables.read(n, spec[n]) for n in spec]
    chosen = [t for t in known if (t.name == name if name else not t.by_name)]
    rows = dict.fromkeys(r for t in chosen for r in t.rows if not row or r in row)
    if not rows:
        raise UserError(f"no row {row} in {name or 'the tables'}")
    seeds = seed or ablation["random_seeds"]
    cells_of = (tables.address(ablation, r, s) for r in rows for s in seeds)
    code = _dvc("repro", "--keep-going", *cells_of)
    base = read_yaml(LAYOUT.params)
    for each in chosen:
        out.print(cells.write_table(LAYOUT, each, base, ablation), markup=False)
    if code:
        out.print("Some cells failed: see above; they are missing in the table.")
        raise typer.Exit(1)


@app.command()
def predict(
    images: Annotated[list[Path], typer.Argument(help="Image files or folders.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")],
    crf: Annotated[bool, typer.Option(help="Refine by the dense CRF.")] = True,
    model: Annotated[Path | None, typer.Option(help="Folder of a trained segmenter.")] = None,
    maps: Annotated[bool, typer.Option("--maps", help="Draw class maps instead.")] = False,
    classifier: Annotated[
        Path | None, typer.Option(help="With --maps: folder of a trained classifier.")
    ] = None,
) -> None:
    """Segment any photographs: NAME.png (class indices, palette) and NAME_overlay.jpg.

    With --maps, it draws NAME_maps.jpg instead: class maps of the five most probable classes.

    Stopped and started again, it goes on. A folder takes the results of one network, and one call
    at a time; its made_of.json names the classes.
    """
    from app import predict, predict_maps

    if (maps and (model or not crf)) or (classifier and not maps):
        raise UserError("--maps goes with --classifier, and not with --model or --no-crf")
    chosen, photos = load_params(LAYOUT.params), predict.find(images)
    if maps:
        folder = classifier or LAYOUT.seed_model
        done = predict_maps.draw(folder, photos, output, infer_as=chosen.seed.maps)
    else:
        done = predict.segment(
            model or LAYOUT.segmenter(chosen.segment.supervision[0]),
            photos,
            output,
            how=chosen.segment.predict,
            refine=chosen.crf[chosen.refine.crf] if crf else None,
        )
    for line in done.bad:
        out.print(f"skipped: {line}")
    names = ", ".join(f"{i} {name}" for i, name in enumerate(done.classes))
    before = f" ({done.kept} of them from before)" if done.kept else ""
    out.print(f"{done.done} images in {output}{before}" + (f"; indices: {names}" if names else ""))
    if done.bad:
        raise typer.Exit(1)


@app.command("export-voc")
def export(
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
    from app.export import export_voc

    count = export_voc(predictions, images, output, competition=competition)
    out.print(f"{count} predictions in {output}, for {competition}")


def main() -> None:
    """Run the app; bad input is one line and exit code 1."""
    threading.excepthook = runtime.forgive_pool
    try:
        app()
    except UserError as e:
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"error: {e}", markup=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
