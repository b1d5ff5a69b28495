"""The terminal: lines and tables for people, and DVC's output."""

from collections.abc import Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.core.errors import printable
from pipeline.core.layout import Layout

LAYOUT = Layout()
STOPPED = "\nStopped. All finished results are kept."


class PlainConsole(Console):
    """A console that shows every name as it is: no markup, no emoji, no control characters."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, soft_wrap=True, highlight=False)

    def render_str(self, text: str, **_: Any) -> Text:
        """Turn a text, or a cell of a table, into what the terminal shows."""
        return Text(printable(text, keep="\n"))


def make_table(*texts: str, numbers: Sequence[str] = ()) -> Table:
    """Return an empty table with columns of texts, then columns of numbers."""
    table = Table(box=None, pad_edge=False)
    for name in texts:
        table.add_column(name)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


out = PlainConsole()


def run_dvc(*args: str) -> int:
    """Run DVC and return its exit code.

    Raises:
        typer.Exit: a person stopped it.
    """
    from app import dvc_process  # it loads slowly

    code = dvc_process.dvc(*args, say=lambda line: print(line, end="", flush=True))
    if code is None:
        out.print(f"{STOPPED} To resume, run the same command again.")
        raise typer.Exit(130)
    return code
