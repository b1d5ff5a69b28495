"""A console for people, by rich, which loads slowly."""

from typing import Any

from rich.console import Console
from rich.text import Text

from pipeline.core.errors import printable


class PlainConsole(Console):
    """A console that shows every name as it is: no markup, no emoji, no control characters."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, soft_wrap=True, highlight=False)

    def render_str(self, text: str, **_: Any) -> Text:
        """Turn a text, or a cell of a table, into what the terminal shows."""
        return Text(printable(text, keep="\n"))
