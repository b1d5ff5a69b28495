"""The command `import masks`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from app.commands.choices import IMPORTED, among, one_of
from app.console import LAYOUT, out
from pipeline.core.errors import COMMAND

NAMED = 5  # of the images that are left out for one reason


def masks(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE", help="The file or the unpacked folder that the tool exported."
        ),
    ],
    name: Annotated[
        str, typer.Option("--format", help=one_of(IMPORTED), autocompletion=among(IMPORTED))
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Folder for the masks. By default, that of brought.corrections."
        ),
    ] = None,
    keep_empty: Annotated[
        bool,
        typer.Option(
            "--keep-empty",
            help="An image on which nothing is drawn is background. By default, it is left out.",
        ),
    ] = False,
) -> None:
    """Read corrected masks of this project's images from an annotation tool.

    Masks with the same name are replaced. The section "Bring corrected masks back" of
    docs/photographs.md says what to export.
    """
    from app.imports.masks import import_masks
    from pipeline.params import load_params

    home = load_params(LAYOUT.params).brought.corrections
    done = import_masks(source, output or home, name=name, layout=LAYOUT, keep_empty=keep_empty)
    for reason, images in done.left_out.items():
        more = ", ..." if len(images) > NAMED else ""
        out.say(f"left out: {reason}: {len(images)} ({', '.join(images[:NAMED])}{more})")
    out.print(
        f"{done.count} masks in {output or home}; {done.replaced} replaced earlier ones; "
        f"{done.with_void} hold void"
    )
    if output in (None, home):
        out.print(f'\nNext:\n{COMMAND} run -S "segment.supervision=[corrected,guide]"')
    out.give({"output": str(output or home), **asdict(done)})
