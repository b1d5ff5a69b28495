"""Commands that show and compare results, and choose params by them."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from app.commands import choices
from app.console import LAYOUT, make_table, out, run_dvc
from pipeline.core.errors import COMMAND


def show_image(
    key: Annotated[str, typer.Argument(metavar="ID", help="The id of an image, or its file name.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="By default, data/show/ID.png.")
    ] = None,
    opened: Annotated[bool, typer.Option("--open", help="Open the picture, too.")] = False,
) -> None:
    """Draw what each link of the chain made of one image, and print the path of the picture."""
    from app import show
    from pipeline.params import load_params

    panel = show.show(LAYOUT, load_params(LAYOUT.params), key, output=output)
    out.say(str(panel.path))
    predicted = ", ".join(f"{name} {chance:.2f}" for name, chance in panel.predicted)
    out.print(
        f"tags: {' '.join(panel.tags) or 'none'}" + (predicted and f"; classifier: {predicted}")
    )
    out.give(asdict(panel))
    if opened:
        typer.launch(str(panel.path))


def compare(
    one: Annotated[str, typer.Argument(metavar="A", help="A folder, or a git revision.")],
    other: Annotated[str, typer.Argument(metavar="B", help="A folder, or a git revision.")],
) -> None:
    """Say in what two runs differ, then compare their scores.

    A folder is a project after a run, or a copy of its data/scores.
    """
    from app import comparison

    lines = comparison.describe(LAYOUT, one, other)
    for line in lines:
        out.print(line)
    out.give(lines)


def choose_thresholds() -> None:
    """Choose fuse.seed_threshold and fuse.saliency_threshold without masks. Change no file.

    Print the energy of guide labels for each pair of thresholds. The lower it is, the better the
    labels agree with the colours of the photographs.
    """
    from app import thresholds
    from pipeline.params import load_params

    choice = thresholds.choose(LAYOUT, load_params(LAYOUT.params))
    columns = [f"saliency {value}" for value in thresholds.SALIENCY]
    table = make_table("seed", numbers=columns)
    for seed in thresholds.SEED:
        energies = (choice.energies[seed, value] for value in thresholds.SALIENCY)
        table.add_row(str(seed), *(f"{energy:.4f}" for energy in energies))
    out.print(table)
    seed, saliency = choice.best
    out.print(
        f"\nThe lowest energy on {choice.images} train images. To use these thresholds, type:"
    )
    out.say(f"{COMMAND} run -S fuse.seed_threshold={seed} -S fuse.saliency_threshold={saliency}")
    tried = [{"seed": s, "saliency": v, "energy": e} for (s, v), e in choice.energies.items()]
    out.give({"seed": seed, "saliency": saliency, "images": choice.images, "energies": tried})


def write_tables(
    name: Annotated[
        str | None,
        typer.Argument(
            help="T1 to T11, or boxes. Without a name, all except T10 and T11.",
            autocompletion=choices.tables,
        ),
    ] = None,
    row: Annotated[
        list[str] | None, typer.Option(help="Run only this row. Repeat it for several.")
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option(help="Run only this random seed. Repeat it for several.")
    ] = None,
) -> None:
    """Run the missing cells of the papers' tables. Write Markdown, CSV and LaTeX.

    If rows have class maps, a PNG in the same folder draws their precision-recall curves.
    """
    from app import cells, tables
    from pipeline.core.params import read_yaml

    ablation = read_yaml(LAYOUT.ablation)
    chosen = tables.choose(read_yaml(LAYOUT.tables), name)
    addresses = tables.addresses(chosen, ablation, rows=row, seeds=seed)
    code = run_dvc("repro", "--keep-going", *addresses)
    params = read_yaml(LAYOUT.params)
    texts = {t.name: cells.write_table(LAYOUT, t, params, ablation) for t in chosen}
    for text in texts.values():
        out.print(text)
    out.give(texts)
    if code:
        out.say("Some cells failed, and the tables show them as missing. See the errors above.")
        raise typer.Exit(1)
