"""DVC's lock files: whether they are whole, and valid copies of them.

DVC writes a lock file in place. So a kill or a full disk at that moment leaves a damaged file, and
DVC then refuses to run. `app/locks.py` restores the copy.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.params import read_yaml


class _File(BaseModel):
    """A file or folder that a stage read or made."""

    model_config = ConfigDict(strict=True)
    path: str
    hash: str = ""
    md5: str = Field("", min_length=3)
    size: int = 0
    nfiles: int = 0
    isexec: bool = False


class _Stage(BaseModel):
    model_config = ConfigDict(strict=True)
    cmd: str | list[Any]
    deps: list[_File] = []
    params: dict[str, dict[str, Any]] = {}
    outs: list[_File] = []


class _Lock(BaseModel):
    model_config = ConfigDict(strict=True)
    schema_: Literal["2.0"]
    stages: dict[str, _Stage] = {}


def is_valid(lock: Path) -> bool:
    """Whether DVC would read the file. It would refuse one that was cut off."""
    try:
        content = read_yaml(lock)
        _Lock.model_validate({**content, "schema_": content.get("schema")})
    except (UserError, ValueError):  # ValueError: wrong types, or bytes that are not UTF-8
        return False
    return True


def keep(layout: Layout) -> None:
    """Copy each lock file that changed. A stage calls this before it starts.

    DVC has then read the lock files, and writes none until the stage ends. Only a second run in
    the same folder could be writing one, so each is checked.
    """
    for lock in filter(Path.exists, layout.locks):
        kept, content = layout.kept_lock(lock), lock.read_bytes()
        if (not kept.exists() or kept.read_bytes() != content) and is_valid(lock):
            formats.replace_file(kept, lambda f, content=content: f.write(content))
