"""Read and validate params.yaml. Errors name the param and how to fix it."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.core import files
from pipeline.core.config import explain
from pipeline.core.errors import UserError

V = TypeVar("V")
MAX_BYTES = 100 << 20  # of a YAML file
MAX_BRACKETS = 50  # open at the same time: with thousands, the parser takes seconds before it fails
MAX_VALUES = 100_000  # of a YAML file, with each alias counted as what it stands for


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file into plain dicts.

    It is read as YAML 1.2, where 1e-4 is a number. In YAML 1.1 it is a string.

    Raises:
        UserError: the file is missing, is not UTF-8, is not valid YAML, is not a mapping, or is
            nested so deeply, or so large with its aliases, that nobody can have meant it.
    """
    try:
        files.check(path, max_bytes=MAX_BYTES)
        text = path.read_text(encoding="utf-8")
        _check_brackets(text)
        loaded = YAML(typ="safe", pure=True).load(text)
        _check_aliases(loaded)
    except FileNotFoundError as e:
        raise UserError(f"{path}: not found; run from the project's root folder") from e
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror}); replace it") from e
    except UnicodeDecodeError as e:
        raise UserError(f"{path}: is not UTF-8; save it again as UTF-8") from e
    except (YAMLError, ValueError, RecursionError) as e:  # YAML's own, of a value, of deep nesting
        raise UserError(f"{path}: not valid YAML: {' '.join(str(e).split())}") from e
    if not isinstance(loaded, dict):
        raise UserError(f"{path}: must contain sections such as 'data:' and 'seed:'")
    return loaded


def _check_brackets(text: str) -> None:
    """Check that few brackets are open at the same time. Those in comments count, too.

    Raises:
        ValueError: there are more than MAX_BRACKETS.
    """
    depth = 0
    for bracket in re.findall(r"[][{}]", text):
        depth = depth + 1 if bracket in "[{" else max(0, depth - 1)
        if depth > MAX_BRACKETS:
            raise ValueError(f"{depth} brackets are open; close them")


def _check_aliases(loaded: Any) -> None:
    """Check how many values a YAML file holds. A few lines of aliases can stand for billions.

    Raises:
        ValueError: there are more than MAX_VALUES, or a value contains itself.
    """
    if _count_values(loaded, {}) > MAX_VALUES:
        raise ValueError(f"its aliases stand for more than {MAX_VALUES} values; write values out")


def _count_values(value: Any, known: dict[int, int]) -> int:
    """Count a value and all values below it. `known` holds the counts of earlier lists and dicts.

    A value that contains itself counts as more than MAX_VALUES.
    """
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = MAX_VALUES + 1
        inner = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_count_values(each, known) for each in inner)
    return known[id(value)]


def validate(model: type[V], values: Any, *, where: str, file: str = "params.yaml") -> V:
    """Validate `values` as `model`.

    Args:
        model: a pydantic model or any type that pydantic can check.
        values: what the file holds.
        where: the dotted name of `values`, for the error message.
        file: the file, for the error message.

    Raises:
        UserError: a value is wrong. The message is one line and names the param.
    """
    try:
        return TypeAdapter(model).validate_python(values)
    except ValidationError as e:
        raise UserError(f"{file}: {explain(e, values, where=where)}") from e


def section(params: dict[str, Any], name: str, model: type[V]) -> V:
    """Validate the part of `params` at the dotted `name` as `model`.

    A stage sees only its own slice. `model` may cover just a part of a section, as SeedModel does
    of Seed. Then its ELSEWHERE names the other keys, which are left out here. An unknown key is
    still an error.

    Raises:
        UserError: there is no such part, or a value in it is wrong.
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
    """Merge `changes` into `base`, section by section. Keys that `changes` does not name stay."""
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            lay_over(base[key], value)
        else:
            base[key] = value


def differences(old: Any, new: Any, name: str = "") -> list[tuple[str, Any, Any]]:
    """List (dotted name, old value, new value) for every param that differs."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [(name, old, new)]
    return [
        difference
        for key in sorted({*old, *new})
        for difference in differences(old.get(key), new.get(key), f"{name}.{key}".strip("."))
    ]


def fingerprint(*parts: BaseModel | str) -> str:
    """Hash params and texts into 16 hex digits. Equal values give an equal fingerprint."""
    texts = [
        part if isinstance(part, str) else json.dumps(part.model_dump(mode="json"), sort_keys=True)
        for part in parts
    ]
    return hashlib.blake2b("\n".join(texts).encode(), digest_size=8).hexdigest()
