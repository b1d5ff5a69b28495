"""Presets: whole scenarios that replace params.yaml."""

import functools
from operator import getitem
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.params import differences, lay_over, read_yaml, validate
from pipeline.params import Params

BASE = Path("presets/shapes.yaml")  # all of params.yaml; the other presets hold what differs


def use(layout: Layout, preset: str) -> list[tuple[str, Any, Any]]:
    """Make params.yaml the scenario `preset`. The old file stays as `layout.params_before`.

    An old file that is missing or cannot be read is no obstacle: a preset mends it.

    Returns:
        (dotted name, old value, new value) of every param that changed.

    Raises:
        UserError: there is no such preset, it is not valid, or a file cannot be read or written.
    """
    if not (first := layout.root / BASE).exists():
        raise UserError(f"{first}: not found; run from the project's root folder")
    presets = {p.stem: p for p in sorted(first.parent.glob("*.yaml"))}
    if preset not in presets:
        raise UserError(f"no preset '{preset}'; choose one of {', '.join(presets)}")
    yaml = YAML()
    yaml.width, before = 110, _read_old(layout.params)
    validate(Params, read_yaml(first), where="", file=str(first))
    base = yaml.load(first)
    lay_over(base, read_yaml(presets[preset]))
    validate(Params, base, where="", file=str(presets[preset]))
    if layout.params.is_file():
        old = layout.params.read_bytes()
        formats.replace_file(layout.params_before, lambda f: f.write(old))
    if presets[preset] == first:  # as it is, with its own line breaks
        formats.replace_file(layout.params, lambda f: f.write(first.read_bytes()))
    else:
        formats.replace_file(layout.params, lambda f: yaml.dump(base, f))
    return differences(before, read_yaml(layout.params))


def change(layout: Layout, values: dict[str, Any]) -> None:
    """Set params in params.yaml, each by its dotted name. Comments stay."""
    yaml = YAML()
    yaml.width = 110
    params = yaml.load(layout.params)
    for name, value in values.items():
        *sections, last = name.split(".")
        functools.reduce(getitem, sections, params)[last] = value
    formats.replace_file(layout.params, lambda f: yaml.dump(params, f))


def _read_old(params: Path) -> dict[str, Any]:
    """Return the params that a preset replaces; none if the file cannot be read."""
    try:
        return read_yaml(params)
    except UserError:
        return {}
