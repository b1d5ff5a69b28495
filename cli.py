"""The commands that people type. DVC never calls this file."""

import sys
import threading
from collections.abc import Callable

try:
    import typer

    from app.commands import chain, data, export, predict, results, review
    from app.console import PlainConsole
    from pipeline.core import faults, runtime
    from pipeline.core.errors import UserError
except ImportError as e:
    sys.exit(f"error: {e}; run `make install` and `source .venv/bin/activate` first")

COMMANDS: dict[str, Callable[..., None]] = {
    "run": chain.run,
    "status": chain.show_status,
    "scores": chain.show_scores,
    "use": chain.use,
    "config": chain.show_config,
    "doctor": chain.check_machine,
    "fetch": data.download,
    "convert": data.convert,
    "thresholds": results.choose_thresholds,
    "compare": results.compare,
    "table": results.write_tables,
    "predict": predict.segment_photographs,
    "review": review.rank_images,
}

app = typer.Typer(
    help="Train a segmenter from image tags.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for name, command in COMMANDS.items():
    app.command(name)(command)
app.add_typer(export.app, name="export", help="Write masks for other tools.")


def main() -> None:
    """Run a command. A UserError or a full disk is one line, and the exit code is 1."""
    threading.excepthook = runtime.forgive_pool
    try:
        app()
    except Exception as e:
        if not (line := str(e) if isinstance(e, UserError) else faults.explain(e)):
            raise
        PlainConsole(stderr=True).print(f"error: {line}")
        sys.exit(1)


if __name__ == "__main__":
    main()
