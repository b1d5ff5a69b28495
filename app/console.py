"""The terminal: lines and tables for people."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.core.errors import printable


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
