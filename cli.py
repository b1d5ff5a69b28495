"""The commands that people type. DVC never calls this file."""

import functools
import io
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

try:
    import typer

    from app import __version__
    from app.commands import chain, data, export, new, predict, results, review
    from app.console import PlainConsole, out
    from pipeline.core.errors import UserError
except ImportError as e:
    sys.exit(f"error: {e}; run `make install` and `source .venv/bin/activate` first")

COMMANDS: dict[str, Callable[..., None]] = {
    "new": new.create_project,
    "run": chain.run,
    "status": chain.show_status,
    "scores": chain.show_scores,
    "use": chain.use,
    "config": chain.show_config,
    "doctor": chain.check_machine,
    "fetch": data.download,
    "convert": data.convert,
    "thresholds": results.choose_thresholds,
    "show": results.show_image,
    "compare": results.compare,
    "table": results.write_tables,
    "predict": predict.segment_photographs,
    "review": review.rank_images,
}
ONLY_IN_A_PROJECT = (
    "run", "status", "scores", "use", "config", "doctor", "review", "show", "thresholds", "table",
)  # fmt: skip

app = typer.Typer(
    help="Train a segmenter from image tags.", no_args_is_help=True, pretty_exceptions_enable=False
)


def show_version(wanted: bool) -> None:
    """Show the version of this code and exit, if it is wanted."""
    if wanted:
        out.print(f"guidelabel {__version__}")
        raise typer.Exit


VERSION = typer.Option(
    "--version", help="Show the version and exit.", callback=show_version, is_eager=True
)


@app.callback()
def take_options(version: Annotated[bool, VERSION] = False) -> None:
    """Train a segmenter from image tags."""


def in_project(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command that stops with one line, unless the current folder is a project."""

    @functools.wraps(command)
    def checked(*args: Any, **kwargs: Any) -> None:
        if not Path("dvc.yaml").is_file():
            raise UserError(
                f"{Path.cwd()}: is not a project; run `guidelabel new DIR` first, then `cd DIR`"
            )
        command(*args, **kwargs)

    return checked


for name, command in COMMANDS.items():
    app.command(name)(in_project(command) if name in ONLY_IN_A_PROJECT else command)
app.add_typer(export.app, name="export", help="Write masks or a trained segmenter for other tools.")


def explain(error: Exception) -> str:
    """Say in one line what happened and what to do. Return "" if the error is a bug."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and (package := missing_package(error)):
        extra = "crf" if package == "pydensecrf" else "train"
        return (
            f"this needs the package {package}; type `pip install 'guidelabel[{extra}]'`, "
            "or `make install` in a clone"
        )
    from pipeline.core import faults

    return faults.explain(error)


def missing_package(error: ModuleNotFoundError) -> str:
    """Return the name of the missing package, or "" if it is ours."""
    package = (error.name or "").split(".")[0]
    return "" if package in ("guidelabel", "app", "pipeline", "stages") else package


def forgive_pool(failed: threading.ExceptHookArgs) -> None:
    """Call `runtime.forgive_pool`, which loads slowly."""
    from pipeline.core import runtime

    runtime.forgive_pool(failed)


def main() -> None:
    """Run a command. An error that people can fix is one line, and the exit code is 1."""
    threading.excepthook = forgive_pool
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal of another encoding shows escapes
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except Exception as e:
        if not (line := explain(e)):
            raise
        PlainConsole(stderr=True).print(f"error: {line}")
        sys.exit(1)


if __name__ == "__main__":
    main()
