"""The terminal: lines and tables for people, JSON for programs, and DVC's output."""

import contextlib
import functools
import inspect
import io
import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.core.layout import Layout

if TYPE_CHECKING:
    from rich.table import Table

LAYOUT = Layout()
STOPPED = "\nStopped. All finished results are kept."
Quiet = Annotated[bool, typer.Option("--quiet", help="Print only faults, and what to type next.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the results as JSON.")]


class Output:
    """What commands print. `quiet` and `as_json` are the options of the command that runs."""

    quiet = as_json = False

    def print(self, text: "str | Table" = "") -> None:
        """Print a line or a table for people."""
        if not self.quiet:
            self.say(text)

    def say(self, text: "str | Table") -> None:
        """Print what --quiet does not leave out."""
        if not self.as_json:
            show(text)

    def give(self, result: Any) -> None:
        """Print the result as JSON, if the caller wants that."""
        if self.as_json:
            print(json.dumps(result, indent=2, ensure_ascii=False, default=str))


out = Output()


def show(text: "str | Table", *, stderr: bool = False) -> None:
    """Print a line or a table, with every name as it is."""
    from app.plain import PlainConsole

    PlainConsole(stderr=stderr).print(text)


def with_output(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with the options --quiet and --json, which decide what `out` prints."""

    @functools.wraps(command)
    def run(*args: Any, quiet: bool = False, as_json: bool = False, **kwargs: Any) -> None:
        out.quiet, out.as_json = quiet, as_json
        with contextlib.redirect_stderr(io.StringIO()) if quiet else contextlib.nullcontext():
            command(*args, **kwargs)

    more = {"quiet": Quiet, "as_json": AsJson}
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in more.items()
    ]
    own = inspect.signature(command)
    run.__signature__ = own.replace(parameters=[*own.parameters.values(), *options])  # type: ignore[attr-defined]
    run.__annotations__ = {**command.__annotations__, **more}
    return run


def make_table(*texts: str, numbers: Sequence[str] = ()) -> "Table":
    """Return an empty table with columns of texts, then columns of numbers."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in texts:
        table.add_column(name)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def run_dvc(*args: str) -> int:
    """Run DVC and return its exit code. With --json, its lines go to stderr.

    Raises:
        typer.Exit: a person stopped it.
    """
    from app import dvc_process  # it loads slowly

    def say(line: str) -> None:
        if not out.quiet:
            print(line, end="", flush=True, file=sys.stderr if out.as_json else sys.stdout)

    code = dvc_process.dvc(*args, say=say)
    if code is None:
        out.say(f"{STOPPED} To resume, run the same command again.")
        raise typer.Exit(130)
    return code
