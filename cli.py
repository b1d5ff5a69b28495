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
    from app.commands import chain, data, export, imports, new, predict, results, review
    from app.console import out, show, with_output
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
    "pack": data.pack,
    "thresholds": results.choose_thresholds,
    "show": results.show_image,
    "compare": results.compare,
    "table": results.write_tables,
    "predict": predict.segment_photographs,
    "review": review.rank_images,
}
ONLY_IN_A_PROJECT = (
    "run", "status", "scores", "use", "config", "doctor", "review", "show", "thresholds", "table",
    "import masks",
)  # fmt: skip

GROUPS: dict[str, tuple[str, dict[str, Callable[..., None]]]] = {
    "export": (
        "Write masks or a trained segmenter for other tools.",
        {"masks": export.masks, "model": export.model, "voc-server": export.voc_server},
    ),
    "import": ("Bring back what people corrected in other tools.", {"masks": imports.masks}),
}

# Without rich's layout, help comes in half the time
new_app = functools.partial(
    typer.Typer, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None
)
app = new_app(context_settings={"max_content_width": 100})


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


def add_commands() -> None:
    """Add all commands and groups to the app."""
    _add(app, "", COMMANDS)
    for group, (text, commands) in GROUPS.items():
        sub_app = new_app(help=text)
        sub_app.callback()(lambda: None)  # else a group of one command would be that command
        _add(sub_app, f"{group} ", commands)
        app.add_typer(sub_app, name=group, help=text)


def _add(to: typer.Typer, group: str, commands: dict[str, Callable[..., None]]) -> None:
    for name, command in commands.items():
        only_here = f"{group}{name}" in ONLY_IN_A_PROJECT
        to.command(name)(with_output(in_project(command) if only_here else command))


def make_command() -> Any:
    """Return the app as one command.

    Some flags, such as --help, have no default. To validate that, Typer would load pydantic.
    """
    made: Any = typer.main.get_command(app)
    for group in (made, *(made.commands[name] for name in GROUPS)):
        for option in group.get_params(typer.Context(group)):
            if getattr(option, "is_flag", False) and option.default is None:
                option.default = False
    return made


add_commands()


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
        make_command()()
    except Exception as e:
        if not (line := explain(e)):
            raise
        show(f"error: {line}", stderr=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
