"""Reading params.yaml: validated once, at a stage's door; errors name the param and the fix."""

import hashlib
import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.core.config import explain
from pipeline.core.errors import UserError

V = TypeVar("V")


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file into plain dicts; YAML 1.2, so that 1e-4 is a number."""
    try:
        loaded = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise UserError(f"{path}: not found; run from the project's root folder") from e
    except YAMLError as e:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(e).split())}") from e
    if not isinstance(loaded, dict):
        raise UserError(f"{path}: must hold sections such as 'data:' and 'seed:'")
    return loaded


def validate(model: type[V], values: Any, *, where: str) -> V:
    """Validate `values`, turning pydantic's report into one line that names the param."""
    try:
        return TypeAdapter(model).validate_python(values)
    except ValidationError as e:
        raise UserError(f"params.yaml: {explain(e, values, where=where)}") from e


def section(params: dict[str, Any], name: str, model: type[V]) -> V:
    """Validate the part of `params` at the dotted `name` as `model`.

    A stage sees its own slice alone: where `model` is a part of a section (SeedModel of Seed),
    the section's other keys, ELSEWHERE, are left out; an unknown key is still an error.
    """
    values: Any = params
    for key in name.split("."):
        if not isinstance(values, dict) or key not in values:
            raise UserError(f"params.yaml: {name} is missing")
        values = values[key]
    if isinstance(values, dict):
        elsewhere = getattr(model, "ELSEWHERE", ())
        values = {k: v for k, v in values.items() if k not in elsewhere}
    return validate(model, values, where=name)


def lay_over(base: dict[str, Any], changes: dict[str, Any]) -> None:
    """Put `changes` into `base`, section by section; what they do not name stays."""
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            lay_over(base[key], value)
        else:
            base[key] = value


def differences(old: Any, new: Any, name: str = "") -> list[tuple[str, Any, Any]]:
    """(dotted name, old value, new value) of every param that differs."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [(name, old, new)]
    return [
        d
        for key in sorted({*old, *new})
        for d in differences(old.get(key), new.get(key), f"{name}.{key}".strip("."))
    ]


def fingerprint(*parts: BaseModel | str) -> str:
    """A short stable name of a set of params and input digests."""
    text = [
        p if isinstance(p, str) else json.dumps(p.model_dump(mode="json"), sort_keys=True)
        for p in parts
    ]
    return hashlib.blake2b("\n".join(text).encode(), digest_size=8).hexdigest()
