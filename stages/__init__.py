"""One short module per DVC stage: read files, call `pipeline`, write files."""

import sys
from types import TracebackType


def _quiet(kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
    """Ctrl-C is no error, not even while a stage still imports; `_run.main` gives the exit code."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, value, trace)


sys.excepthook = _quiet
