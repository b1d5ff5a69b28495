"""GuideLabel on the command line: what people type. DVC never calls this file."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Annotated, cast

try:
    import psutil
    import typer
    from rich.console import Console
    from rich.table import Table
    from ruamel.yaml import YAML
except ImportError as e:
    sys.exit(f"error: {e}; run `make install` and `source .venv/bin/activate` first")

from pipeline import cells, chain, config, doctor, fetch, formats, page, params, tables
from pipeline.errors import UserError
from pipeline.layout import SCORED, Layout

app = typer.Typer(
    help="From image tags to a pixel-accurate segmenter.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console(soft_wrap=True, highlight=False)
LAYOUT = Layout()
BASE = Path("presets/shapes.yaml")
HINTS = (  # of dvc, which has no setting to leave them out
    "Generating lock file",
    "Updating lock file",
    "To track the changes with git, run:",
    "\tgit add ",
    "To enable auto staging, run:",
    "\tdvc config core.autostage",
    "Use `dvc push`",
)
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "-S", "--set-param", help="Set a param (it stays set) and keep the run as a DVC experiment."
    ),
]


def _dvc(*args: str) -> int:
    """Run dvc, its stages with this very Python: the environment need not be activated."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = [sys.executable, "-m", "dvc", *args]
    env = {**os.environ, "PATH": path}
    signal.signal(signal.SIGTERM, _interrupt)
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            _relay(cast(IO[str], process.stdout))
            return process.wait()
        except KeyboardInterrupt as e:  # dvc and its stage got it too
            if "--keep-going" in args:
                process.kill()  # it would go on with the next cell
            process.communicate()  # until the last of them has ended
            out.print("\nStopped; what was finished is kept. Run it again to go on.")
            raise typer.Exit(130) from e


def _interrupt(*_: object) -> None:
    """Make of SIGTERM, which this process alone gets, what Ctrl-C is to all that it started."""
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.send_signal(signal.SIGINT)
    raise KeyboardInterrupt


def _relay(lines: Iterable[str]) -> None:
    """Print dvc's lines as they come, without its hints; progress and errors are on stderr."""
    blank = False
    for line in lines:
        if not line.startswith(HINTS) and not (blank and line.isspace()):
            print(line, end="", flush=True)
            blank = line.isspace()


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
        params.load(LAYOUT.params)
    else:
        doctor.require_inputs(LAYOUT)
    names = [chain.address(target, params.load(LAYOUT.params))] if target else []
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
    found = page.read_scores(map(LAYOUT.scores, groups))
    if not found:
        raise UserError("no scores yet; run `python cli.py run` first")
    table = Table(box=None, pad_edge=False)
    for name in ("link", "score"):
        table.add_column(name)
    for name in ("train", "val", "95 %"):
        table.add_column(name, justify="right")
    for line in page.lines(found):
        columns = (page.number(line.train), page.number(line.val), page.interval(line))
        table.add_row(line.name, line.score, *columns)
    if "FS%" in found:
        table.add_row("share of full supervision", "FS%", "", str(found["FS%"]))
    out.print(table)
    out.print("\n95 %: bootstrap over the images of val (of train where there is no val)")
    about = found["about"]
    if "saliency" in about:
        out.print(f"saliency: {about['saliency']} (learned from: {about['saliency_trained_on']})")
    out.print(f"pictures: {LAYOUT.report / 'index.html'}")


@app.command()
def use(preset: Annotated[str, typer.Argument(help="A file of presets/, without .yaml.")]) -> None:
    """Make params.yaml the scenario PRESET; prints every value that changed."""
    path = Path("presets") / f"{preset}.yaml"
    if not path.exists():
        there = ", ".join(sorted(p.stem for p in Path("presets").glob("*.yaml")))
        raise UserError(f"no preset '{preset}'; there are {there}")
    yaml = YAML()
    yaml.width, before = 110, params.read_yaml(LAYOUT.params)
    base = yaml.load(BASE)
    params.lay_over(base, params.read_yaml(path))
    params.validate(config.Params, base, where=str(path))
    if path == BASE:
        LAYOUT.params.write_text(BASE.read_text())
    else:
        with LAYOUT.params.open("w") as f:
            yaml.dump(base, f)
    for name, old, new in params.differences(before, params.read_yaml(LAYOUT.params)):
        out.print(f"{name}: {old} -> {new}")
    out.print(f"params.yaml is now the preset '{preset}'.")


@app.command()
def status() -> None:
    """Show which links are up to date, which must run again and why or follow, and the scores."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "status", "--json", "dvc.yaml", "sources/dvc.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UserError(done.stderr.strip().splitlines()[-1])
    changed = json.loads(done.stdout)
    table = Table(box=None, pad_edge=False)
    for name in ("stage", "state", "time", "memory"):
        table.add_column(name)
    for stage, why in chain.states(changed, params.load(LAYOUT.params)):
        log = LAYOUT.log / f"{stage.split(':')[-1].replace('@', '_')}.json"
        ran = formats.read_json(log) if log.exists() else {}
        time, memory = ran.get("seconds"), ran.get("peak_mib")
        table.add_row(
            stage, why, f"{time:.0f} s" if time else "", f"{memory} MiB" if memory else ""
        )
    out.print(table)
    if any(LAYOUT.scores(group).exists() for group in SCORED):
        out.print()
        scores()


@app.command("config")
def show_config() -> None:
    """Print params.yaml as the stages will see it, validated."""
    YAML().dump(params.load(LAYOUT.params).model_dump(mode="json"), sys.stdout)


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
    name: Annotated[str | None, typer.Argument(help="T1 to T8; all of them without.")] = None,
    row: Annotated[list[str] | None, typer.Option(help="Run this row alone.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Run this random seed alone.")] = None,
) -> None:
    """Run what a paper's table still needs, and write it as Markdown, CSV and LaTeX."""
    spec, ablation = params.read_yaml(LAYOUT.tables), params.read_yaml(LAYOUT.ablation)
    if name and name not in spec:
        raise UserError(f"no table '{name}'; there are {', '.join(spec)}")
    chosen = [tables.read(n, spec[n]) for n in spec if name in (None, n)]
    rows = dict.fromkeys(r for t in chosen for r in t.rows if not row or r in row)
    if not rows:
        raise UserError(f"no row {row} in {name or 'the tables'}")
    seeds = seed or ablation["random_seeds"]
    cells_of = (tables.address(ablation, r, s) for r in rows for s in seeds)
    code = _dvc("repro", "--keep-going", *cells_of)
    base = params.read_yaml(LAYOUT.params)
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
) -> None:
    """Segment any photographs: NAME.png (class indices, palette) and NAME_overlay.jpg.

    Stopped and started again, it goes on; what it made with another network is made anew.
    """
    from pipeline import apply

    chosen = params.load(LAYOUT.params)
    done = apply.segment(
        model or LAYOUT.segmenter(chosen.segment.supervision[0]),
        apply.find(images),
        output,
        how=chosen.segment.predict,
        refine=chosen.crf[chosen.refine.crf] if crf else None,
    )
    for line in done.bad:
        out.print(f"skipped: {line}")
    names = ", ".join(f"{i} {name}" for i, name in enumerate(done.classes))
    before = f" ({done.kept} of them from before)" if done.kept else ""
    out.print(f"{done.done} images in {output}{before}; indices: {names}")
    if done.bad:
        raise typer.Exit(1)


def main() -> None:
    """Run the app; bad input is one line and exit code 1."""
    try:
        app()
    except UserError as e:
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"error: {e}", markup=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
