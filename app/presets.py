"""Presets: whole scenarios that replace params.yaml."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.params import differences, lay_over, read_yaml, validate
from pipeline.params import Params

BASE = Path("presets/shapes.yaml")  # all of params.yaml; the other presets hold what differs


def use(layout: Layout, preset: str) -> list[tuple[str, Any, Any]]:
    """Make params.yaml the scenario `preset`. The old file stays as `layout.params_before`.

    Returns:
        (dotted name, old value, new value) of every param that changed.

    Raises:
        UserError: there is no such preset, or it is not valid.
    """
    path = BASE.with_stem(preset)
    if not path.exists():
        names = ", ".join(sorted(p.stem for p in BASE.parent.glob("*.yaml")))
        raise UserError(f"no preset '{preset}'; choose one of {names}")
    yaml = YAML()
    yaml.width, before = 110, read_yaml(layout.params)
    base = yaml.load(BASE)
    lay_over(base, read_yaml(path))
    validate(Params, base, where=str(path))
    layout.params_before.parent.mkdir(parents=True, exist_ok=True)
    layout.params_before.write_text(layout.params.read_text())
    if path == BASE:
        layout.params.write_text(BASE.read_text())
    else:
        with layout.params.open("w") as f:
            yaml.dump(base, f)
    return differences(before, read_yaml(layout.params))
