"""Commands that run the chain, and show or change its state."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from app.commands import choices
from app.console import LAYOUT, STOPPED, make_table, out, run_dvc
from pipeline.core.errors import COMMAND, UserError
from pipeline.core.layout import SCORED

Changes = Annotated[
    list[str] | None,
    typer.Option(
        "-S",
        "--set-param",
        metavar="NAME=VALUE",
        help="Set a param, such as seed.train.epochs=2, and record the run as a DVC experiment. "
        "The param stays set.",
    ),
]


def run(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="STAGE", help="Stop after this stage.", autocompletion=choices.stages
        ),
    ] = None,
    set_param: Changes = None,
    nproc: Annotated[
        int | None, typer.Option(min=1, help="Number of processes, or GPUs, that share a training.")
    ] = None,
) -> None:
    """Run the chain, or only as far as STAGE. A stage runs only if its inputs have changed."""
    from app import chain, doctor

    chain.set_nproc(nproc)
    arguments = chain.prepare(LAYOUT, target=target, changes=set_param or [])
    if not target and not set_param and (advice := doctor.advise_epochs(LAYOUT)):
        out.print(f"note: {advice}\n")
    if run_dvc(*arguments):
        out.say(f"{STOPPED} Fix what the error above names, then run the same command again.")
        raise typer.Exit(1)
    if not target:
        out.give(_print_scores(SCORED))
    elif target.startswith("evaluate_"):  # the scores of other links may be older
        out.give(_print_scores([target.removeprefix("evaluate_")]))
    else:
        out.give({"stage": target})


def show_scores() -> None:
    """Print the scores of each link of the chain, from the last run."""
    out.give(_print_scores(SCORED))


def _print_scores(groups: Sequence[str]) -> dict[str, Any]:
    """Print the scores of some groups of links; return what --json prints."""
    from pipeline.report import links

    scores = links.read_scores(map(LAYOUT.scores, groups))
    if not scores:
        raise UserError(f"no scores yet; run `{COMMAND} run` first")
    table = make_table("link", "score", numbers=("train", "val", "95 %"))
    lines = links.lines(scores)
    if not any(line.score == "mIoU" for line in lines):  # no masks: show what the tags tell
        lines += links.lines(scores, links.TAGGED)
    for line in lines:
        columns = (links.number(line.train), links.number(line.val), links.interval(line))
        table.add_row(line.name, line.score, *columns)
    out.print(table)
    out.print()
    if any(line.low is not None for line in lines):
        out.print("95 %: bootstrap interval over the images of val (of train if there is no val)")
    if links.flattered(lines):
        out.print(
            "There is no val split. A segmenter that learned from masks scores too high on the "
            "same images; keep a val split"
        )
    record = scores["about"]
    if "saliency" in record:
        out.print(f"saliency: {record['saliency']} (trained on: {record['saliency_trained_on']})")
    if groups == SCORED:
        out.print(f"pictures: {LAYOUT.report / 'index.html'}")
    return {"scores": [asdict(line) for line in lines], "about": record}


def use(
    preset: Annotated[
        str,
        typer.Argument(
            help="Name of a file in presets/, without .yaml.", autocompletion=choices.presets
        ),
    ],
) -> None:
    """Replace params.yaml by a preset, and print each value that changes. Keep the old file."""
    from app import presets

    had_params = LAYOUT.params.exists()
    changes = presets.use(LAYOUT, preset)
    for name, old, new in changes:
        out.print(f"{name}: {old} -> {new}")
    kept = f"; the old one is {LAYOUT.params_before}" if had_params else ""
    out.print(f"params.yaml is now the preset '{preset}'{kept}")
    out.give({"preset": preset, "changes": {name: [old, new] for name, old, new in changes}})


def show_status() -> None:
    """Show the state, time and memory of each stage, and the scores."""
    from app import graph, status

    stages = status.read(LAYOUT)
    table = make_table("stage", "state", "time", "memory")
    for stage in stages:
        seconds = f"{stage.seconds:.0f} s" if stage.seconds else ""
        if stage.seconds != stage.last_call_seconds:
            seconds += f" (last call {stage.last_call_seconds:.0f} s)"
        memory = f"{stage.peak_mib} MiB" if stage.peak_mib else ""
        table.add_row(stage.name, stage.state, seconds, memory)
    out.print(table)
    result: dict[str, Any] = {"stages": [asdict(stage) for stage in stages]}
    if any(LAYOUT.scores(group).exists() for group in SCORED):
        old = any(stage.state != graph.UP_TO_DATE for stage in stages)
        out.print("\nThese scores are of the last run. Some stages must run now.\n" if old else "")
        result |= _print_scores(SCORED)
    out.give(result)


def show_config() -> None:
    """Check params.yaml, and print the params as the stages read them."""
    from ruamel.yaml import YAML

    from pipeline.params import load_params

    params = load_params(LAYOUT.params).model_dump(mode="json")
    if not (out.quiet or out.as_json):
        YAML().dump(params, sys.stdout)
    out.give(params)


def check_machine() -> None:
    """Check machine, params, data and weights. Say how to fix what is missing."""
    from app import doctor

    checks = []
    for check in doctor.examine(LAYOUT):
        checks.append(check)
        say = out.print if check.ok else out.say
        say(f"{'ok  ' if check.ok else 'FAIL'}  {check.name:<8} {check.message}")
    out.give([asdict(check) for check in checks])
    if not all(check.ok for check in checks):
        raise typer.Exit(1)
