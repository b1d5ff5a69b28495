"""The command `review`."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.choices import REVIEWED, SPLITS, among
from app.console import LAYOUT, make_table, out
from pipeline.core.errors import COMMAND


def rank_images(
    top: Annotated[int, typer.Option(min=1, help="How many images to show or to export.")] = 20,
    split: Annotated[
        str,
        typer.Option(help="Only train or only val; by default both.", autocompletion=among(SPLITS)),
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="FILE.csv or FILE.json; with --format, a new folder."),
    ] = None,
    name: Annotated[
        str,
        typer.Option(
            "--format",
            help="labelstudio or cvat: tasks with our masks to correct.",
            autocompletion=among(REVIEWED),
        ),
    ] = "",
) -> None:
    """Rank the images that are most worth a look: where the links of the chain disagree.

    Change no file of the chain. Corrected masks go to data/corrections; docs/variants.md says how.
    """
    from app import review
    from pipeline.params import load_params

    if name and not output:
        raise typer.BadParameter("--format needs -o FOLDER")
    review.check_output(output, name=name)
    params = load_params(LAYOUT.params)
    ranked = review.rank(LAYOUT, params, split=split)
    chosen = ranked[:top]
    if output and name:
        segmenter = params.segment.supervision[0]
        done = review.export(LAYOUT, chosen, output, name=name, segmenter=segmenter)
        out.print(f"{done.count} images in {output}, with masks to correct")
        out.give({"output": str(output), "images": done.count})
        return
    if output:
        review.write(output, ranked)
        out.print(f"{len(ranked)} images in {output}")
        out.give({"output": str(output), "images": len(ranked)})
        return
    table = make_table("id", "split", "reason", numbers=("priority",))
    for r in chosen:
        table.add_row(r.sample.id, r.sample.split, r.reason, f"{r.priority:.0f}")
    out.print(table)
    out.give(
        [
            {"id": r.sample.id, "split": r.sample.split, "reason": r.reason, "priority": r.priority}
            for r in chosen
        ]
    )
    if not all("entropy" in r.measures for r in ranked):
        out.print(
            "\nThe segmenter has not labelled all of these images. To use its labels too, type:\n"
            f'{COMMAND} run -S "segment.predict.splits=[train,val]"'
        )
