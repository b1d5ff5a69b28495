"""The command that makes a project from a folder of tagged photographs."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.choices import TAGS, among
from app.console import make_table, out
from pipeline.core.errors import MAX_NAMED

if TYPE_CHECKING:
    from app.estimate import Estimate
    from app.new_project import NewProject
    from app.photographs import Gathered

NAMED = 5  # of the files that are left out for one reason


def create_project(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The new project: a folder that is not there yet.")
    ],
    images: Annotated[Path, typer.Option(help="Folder of photographs; sub-folders are read.")],
    tags: Annotated[
        Path | None,
        typer.Option(
            help="File with the tags: a table (id,tags), or annotations of COCO, Label Studio or "
            "CVAT. Without it, the folder of each photograph is its tag."
        ),
    ] = None,
    tags_from: Annotated[
        str | None,
        typer.Option(
            help="csv, coco, labelstudio, cvat or folders. By default, it is detected.",
            autocompletion=among(TAGS),
        ),
    ] = None,
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy the photographs. By default, link to them.")
    ] = False,
    estimate: Annotated[
        bool, typer.Option(help="Probe this machine to estimate the time of a run.")
    ] = True,
) -> None:
    """Make a project from a folder of tagged photographs.

    Print what was found, what cannot be used and why, and the command to type next.
    """
    from app import new_project

    project = new_project.create(folder, images=images, tags=tags, tags_from=tags_from, copy=copy)
    probed = estimate and _can_train() and not out.quiet
    if probed:
        out.print("probing this machine for half a minute (--no-estimate skips this) ...")
    seconds = _estimate(project) if probed else None
    _show(project, seconds)
    out.give(describe(project, seconds))


def _can_train() -> bool:
    """Whether the extra `train` is installed. Without it, there is nothing to estimate."""
    return find_spec("torch") is not None


def _estimate(project: "NewProject") -> "Estimate":
    from app.estimate import estimate
    from pipeline.core.layout import Layout
    from pipeline.params import load_params

    params = load_params(Layout(project.folder).params)
    return estimate(params, project.gathered.photographs, root=project.folder)


def describe(project: "NewProject", estimate: "Estimate | None") -> dict[str, Any]:
    """Return what `--json` prints."""
    gathered = project.gathered
    return {
        "folder": str(project.folder),
        "images": len(gathered.photographs),
        "images_by_class": project.images_by_class,
        "several_tags": project.several_tags,
        "no_tags": project.no_tags,
        "sizes_px": dict(zip(("smallest", "middle", "largest"), project.sizes_px, strict=True)),
        "left_out": gathered.left_out,
        "counts": gathered.counts,
        "notes": gathered.notes,
        "epochs": {name: after for name, (_, after) in project.epochs.items()},
        "estimate_s": round(estimate.total_s) if estimate else None,
        "next": project.next,
    }


def _show(project: "NewProject", estimate: "Estimate | None") -> None:
    gathered = project.gathered
    out.print(
        f"{project.folder}: {len(gathered.photographs)} photographs, "
        f"{len(project.images_by_class)} classes; {project.several_tags} with several tags, "
        f"{project.no_tags} with none"
    )
    table = make_table("class", numbers=("images", "%"))
    for name, count in sorted(project.images_by_class.items(), key=lambda item: -item[1]):
        table.add_row(name, str(count), f"{100 * count / len(gathered.photographs):.0f}")
    out.print(table)
    smallest, middle, largest = (f"{width}x{height}" for height, width in project.sizes_px)
    out.print(f"sizes: {smallest} to {largest} px, the middle one {middle} px")
    show_gathered(gathered)
    _show_advice(project)
    if estimate:
        out.print(_time(estimate))
    if not _can_train():
        out.print("note: a run needs further packages; type `pip install 'guidelabel[train]'`")
    out.print("\nNext:")
    out.say(project.next)


def show_gathered(gathered: "Gathered") -> None:
    """Print which files are left out and why, and what is odd about others."""
    for reason, names in gathered.left_out.items():
        out.print(f"left out: {reason}: {len(names)} ({_list(names)})")
    for reason, count in gathered.counts.items():
        out.print(f"note: {reason}: {count}")
    for note, names in gathered.notes.items():
        out.print(f"note: {note}: {len(names)} ({_list(names)})")


def _list(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")


def _show_advice(project: "NewProject") -> None:
    from app.new_project import FEW_IMAGES

    for name, (before, after) in project.epochs.items():
        out.print(f"params.yaml: {name} is {after}, not {before:g}, as there are few photographs")
    if rare := project.rare:
        named = ", ".join(f"{name} {count}" for name, count in [*rare.items()][:MAX_NAMED])
        out.print(f"note: classes with fewer than {FEW_IMAGES} images give poor masks: {named}")
    if len(project.images_by_class) == project.no_tags + 1 == 1:
        out.print(
            "note: every photograph has the same tag, so the classifier has nothing to tell "
            "apart; add photographs without it, with no tag"
        )


def _time(estimate: "Estimate") -> str:
    minutes = estimate.total_s / 60
    shown = f"{minutes:.0f} minutes" if minutes < 90 else f"{minutes / 60:.1f} hours"
    parts = sorted(estimate.parts_s.items(), key=lambda part: -part[1])[:3]
    most = ", ".join(f"{name} {seconds / 60:.0f} min" for name, seconds in parts)
    without = f", without {estimate.missing}" if estimate.missing else ""
    return (
        f"a run takes about {shown} here if nothing else runs{without}: an estimate, from a probe "
        f"of {estimate.probe_s:.0f} s (most of it: {most})"
    )
